// Pages of keys and values for the attention layers of hybrid models.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "kernels/device/stream.h"

namespace skein {

using PageList = std::vector<int32_t>;

// A page holds the keys and values of `page_tokens` tokens over all layers. Pages are counted:
// sequences that share a prefix share its full pages, which nobody writes any more. Owned by one
// thread.
class PagePool {
 public:
  struct Layout {
    int num_planes =
        0;  // 2 (keys, values) per attention layer; 0: the model has none and needs no pages
    int64_t token_bytes = 0;  // of one token in one plane
    int page_tokens = 16;
    int64_t page_bytes() const { return token_bytes * page_tokens; }  // in one plane
  };

  // As many pages as fit into `bytes`, where `stream` computes and in its order. ResourceExhausted
  // if that is none, or if the memory cannot be had.
  static absl::StatusOr<std::unique_ptr<PagePool>> Create(const Layout& layout, int64_t bytes,
                                                          const Stream& stream = Stream());

  // Pages that `tokens` tokens of one sequence need.
  int64_t PagesFor(int64_t tokens) const {
    return layout_.num_planes == 0 ? 0 : (tokens + layout_.page_tokens - 1) / layout_.page_tokens;
  }
  // Appends pages until `pages` can hold `tokens` tokens. False, with nothing changed, if too few
  // are free.
  bool Extend(PageList& pages, int64_t tokens);
  // The pages of a copy of a sequence of `tokens` tokens: full pages are shared, the partial last
  // one is copied. ResourceExhausted, with nothing changed, if no page is free for it.
  absl::StatusOr<PageList> Fork(std::span<const int32_t> pages, int64_t tokens);
  // Gives back one reference to each, and empties the list.
  void Release(PageList& pages);

  void* base() const {
    return base_;
  }  // [num_planes, num_pages, page_bytes]; lives as long as the pool
  const Layout& layout() const { return layout_; }
  int64_t num_pages() const { return static_cast<int64_t>(references_.size()); }
  int64_t num_free() const { return static_cast<int64_t>(free_.size()); }

 private:
  PagePool(const Stream& stream, std::unique_ptr<Arena> arena, void* base, const Layout& layout,
           int64_t num_pages);
  int32_t Take();
  void CopyPage(int32_t from, int32_t to);

  const Stream stream_;
  std::unique_ptr<Arena> arena_;
  void* base_;
  Layout layout_;
  std::vector<int32_t> free_;        // the last one is next
  std::vector<int32_t> references_;  // by page; 0: free
};

}  // namespace skein
