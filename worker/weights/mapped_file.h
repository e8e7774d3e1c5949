// A file seen through read-only memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace skein {

// Pages are read when they are touched. Immutable, so thread-safe. If the file shrinks while it is
// mapped, touching the lost part raises SIGBUS: replace model files by renaming, never by rewriting
// them in place.
class MappedFile {
 public:
  // NotFound if there is no such file, PermissionDenied, InvalidArgument if it is not a regular
  // file.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

// Asks the system to start reading [begin, begin + bytes) of a mapping, and returns at once.
void PrefetchMapped(const std::byte* begin, size_t bytes);

}  // namespace skein
