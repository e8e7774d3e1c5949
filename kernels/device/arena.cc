#include "kernels/device/arena.h"

#include <sys/mman.h>

#include "absl/strings/str_cat.h"

namespace skein {

absl::StatusOr<std::unique_ptr<Arena>> Arena::Create(size_t bytes) {
  // Anonymous pages cost nothing until they are touched, and big ones save address translations.
  void* data = mmap(nullptr, Rounded(bytes) + kAlignment, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot allocate ", bytes, " bytes"));
  }
  madvise(data, Rounded(bytes), MADV_HUGEPAGE);
  return Own(data, Rounded(bytes),
             [](void* memory, size_t size) { munmap(memory, size + kAlignment); });
}

Arena::~Arena() { release_(data_, bytes_); }

absl::StatusOr<void*> Arena::Allocate(size_t bytes) {
  if (Rounded(bytes) > bytes_ - used_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("arena of ", bytes_, " bytes has ", bytes_ - used_, " left, wanted ", bytes));
  }
  void* slice = static_cast<char*>(data_) + used_;
  used_ += Rounded(bytes);
  return slice;
}

}  // namespace skein
