// A file seen through read-only memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace skein {

// Pages are read when they are touched. Immutable, so thread-safe. If the file shrinks while it is
// mapped, touching the lost part raises SIGBUS, where Read returns an error.
class MappedFile {
 public:
  // NotFound if there is no such file, PermissionDenied, InvalidArgument if it is not a regular
  // file.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  // Bytes [offset, offset + count), from the file itself. DataLoss if it has become too short.
  absl::Status Read(size_t offset, size_t count, void* out) const;

 private:
  MappedFile(int fd, std::string name, std::span<const std::byte> bytes)
      : fd_(fd), name_(std::move(name)), bytes_(bytes) {}

  const int fd_;
  const std::string name_;  // without its folder
  const std::span<const std::byte> bytes_;
};

// Asks the system to start reading [begin, begin + bytes) of a mapping, and returns at once.
void PrefetchMapped(const std::byte* begin, size_t bytes);

}  // namespace skein
