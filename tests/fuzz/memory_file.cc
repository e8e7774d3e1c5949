#include "tests/fuzz/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "tests/fuzz/fuzz.h"

namespace skein::fuzz {

MemoryFile::MemoryFile() : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
  Require(descriptor_ >= 0, "a file in memory can be made");
  path_ = absl::StrCat("/proc/self/fd/", descriptor_);
}

MemoryFile::~MemoryFile() { close(descriptor_); }

void MemoryFile::Write(absl::string_view content) const {
  const bool written =
      ftruncate(descriptor_, 0) == 0 && pwrite(descriptor_, content.data(), content.size(), 0) ==
                                            static_cast<ssize_t>(content.size());
  Require(written, "a file in memory can be written");
}

}  // namespace skein::fuzz
