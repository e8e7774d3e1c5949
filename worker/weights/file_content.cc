#include "worker/weights/file_content.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

absl::Status SystemError(const char* what) { return absl::ErrnoToStatus(errno, what); }

absl::StatusOr<int64_t> RegularFileBytes(int fd, int64_t max_bytes) {
  struct stat info;
  if (fstat(fd, &info) != 0) return SystemError("cannot be examined");
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError("not a regular file");
  if (info.st_size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", info.st_size, " bytes, expected at most ", max_bytes));
  }
  return static_cast<int64_t>(info.st_size);
}

absl::Status ReadBytes(int fd, char* to, int64_t bytes) {
  for (int64_t done = 0; done < bytes;) {
    const ssize_t got = read(fd, to + done, static_cast<size_t>(bytes - done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("cannot be read");
    if (got == 0) {
      return absl::DataLossError(
          absl::StrCat("ends at byte ", done, " of ", bytes, ": it shrank while it was read"));
    }
    done += got;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FileContent> FileContent::Read(const std::string& path, int64_t max_bytes) {
  // Without O_NONBLOCK opening a named pipe would wait for its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return absl::NotFoundError("no such file");
  if (fd < 0) return SystemError("cannot be opened");
  const auto close_file = absl::MakeCleanup([fd] { close(fd); });
  ASSIGN_OR_RETURN(const int64_t bytes, RegularFileBytes(fd, max_bytes));
  FileContent content;
  ASSIGN_OR_RETURN(content.memory_, Arena::Create(static_cast<size_t>(bytes)));
  RETURN_IF_ERROR(ReadBytes(fd, static_cast<char*>(content.memory_->data()), bytes));
  content.bytes_ = {static_cast<const std::byte*>(content.memory_->data()),
                    static_cast<size_t>(bytes)};
  return content;
}

}  // namespace skein
