#include "worker/memory/page_pool.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "kernels/device/memory.h"

namespace skein {

absl::StatusOr<std::unique_ptr<PagePool>> PagePool::Create(const Layout& layout, int64_t bytes,
                                                           const Stream& stream) {
  if (layout.num_planes == 0) {
    return std::unique_ptr<PagePool>(new PagePool(stream, nullptr, nullptr, layout, 0));
  }
  if (layout.page_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_tokens: ", layout.page_tokens, ", expected at least 1"));
  }
  const int64_t bytes_per_page = layout.page_bytes() * layout.num_planes;
  const int64_t num_pages =
      std::min<int64_t>(bytes / bytes_per_page, std::numeric_limits<int32_t>::max());
  if (num_pages < 1) {
    return absl::ResourceExhaustedError(
        absl::StrCat("kv_bytes: ", bytes, ", expected at least ", bytes_per_page, " for one page"));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Arena> arena, CreateArena(stream, num_pages * bytes_per_page));
  ASSIGN_OR_RETURN(void* base, arena->Allocate(num_pages * bytes_per_page));
  return std::unique_ptr<PagePool>(new PagePool(stream, std::move(arena), base, layout, num_pages));
}

PagePool::PagePool(const Stream& stream, std::unique_ptr<Arena> arena, void* base,
                   const Layout& layout, int64_t num_pages)
    : stream_(stream),
      arena_(std::move(arena)),
      base_(base),
      layout_(layout),
      references_(num_pages) {
  free_.reserve(num_pages);
  for (int64_t page = num_pages - 1; page >= 0; --page) free_.push_back(static_cast<int32_t>(page));
}

bool PagePool::Extend(PageList& pages, int64_t tokens) {
  const int64_t missing = PagesFor(tokens) - static_cast<int64_t>(pages.size());
  if (missing > num_free()) return false;
  for (int64_t i = 0; i < missing; ++i) pages.push_back(Take());
  return true;
}

absl::StatusOr<PageList> PagePool::Fork(std::span<const int32_t> pages, int64_t tokens) {
  if (layout_.num_planes == 0) return PageList();
  const int64_t num_full = tokens / layout_.page_tokens;
  const bool partial = tokens % layout_.page_tokens != 0;
  SKEIN_CHECK(static_cast<int64_t>(pages.size()) >= num_full + (partial ? 1 : 0));
  if (partial && free_.empty()) return absl::ResourceExhaustedError("no free KV page");
  PageList fork(pages.begin(), pages.begin() + num_full);
  for (const int32_t page : fork) ++references_[page];
  if (partial) {
    fork.push_back(Take());
    CopyPage(pages[num_full], fork.back());
  }
  return fork;
}

void PagePool::Release(PageList& pages) {
  for (const int32_t page : pages) {
    SKEIN_CHECK(references_[page] > 0);
    if (--references_[page] == 0) free_.push_back(page);
  }
  pages.clear();
}

int32_t PagePool::Take() {
  const int32_t page = free_.back();
  free_.pop_back();
  references_[page] = 1;
  return page;
}

void PagePool::CopyPage(int32_t from, int32_t to) {
  const int64_t page_bytes = layout_.page_bytes();
  for (int plane = 0; plane < layout_.num_planes; ++plane) {
    char* first = static_cast<char*>(base_) + plane * num_pages() * page_bytes;
    // A copy that cannot be enqueued means a lost GPU, which the next step reports.
    Copy(stream_, first + to * page_bytes, first + from * page_bytes, page_bytes).IgnoreError();
  }
}

}  // namespace skein
