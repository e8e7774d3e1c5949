#include "worker/weights/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace skein {
namespace {

absl::Status SystemError(const std::string& path, const char* call) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat(path, ": ", call, " failed"));
}

absl::StatusOr<std::span<const std::byte>> MapDescriptor(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return SystemError(path, "fstat");
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  const size_t size = static_cast<size_t>(info.st_size);
  if (size == 0) return std::span<const std::byte>();
  void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return SystemError(path, "mmap");
  return std::span<const std::byte>(static_cast<const std::byte*>(data), size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(const std::string& path) {
  // Without O_NONBLOCK opening a named pipe would wait for its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return SystemError(path, "open");
  absl::StatusOr<std::span<const std::byte>> bytes = MapDescriptor(fd, path);
  if (!bytes.ok()) {
    close(fd);
    return bytes.status();
  }
  return std::unique_ptr<MappedFile>(
      new MappedFile(fd, std::filesystem::path(path).filename().string(), *bytes));
}

absl::Status MappedFile::Read(size_t offset, size_t count, void* out) const {
  for (size_t done = 0; done < count;) {
    const ssize_t got = pread(fd_, static_cast<std::byte*>(out) + done, count - done,
                              static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(name_, "pread");
    if (got == 0) {
      return absl::DataLossError(absl::StrCat(name_, ": ends at byte ", offset + done, " of ",
                                              bytes_.size(), ": it was cut after it was opened"));
    }
    done += static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

MappedFile::~MappedFile() {
  close(fd_);
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void PrefetchMapped(const std::byte* begin, size_t bytes) {
  static const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t in_page = reinterpret_cast<uintptr_t>(begin) % page;
  // Only advice: the copy that follows reads the pages in any case.
  madvise(const_cast<std::byte*>(begin - in_page), bytes + in_page, MADV_WILLNEED);
}

}  // namespace skein
