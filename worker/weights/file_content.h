// A whole file in memory of our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

#include "kernels/device/arena.h"

namespace skein {

// For files that come and go while requests run: unlike a mapping (MappedFile), it does not take
// the process down when somebody cuts the file meanwhile.
class FileContent {
 public:
  // NotFound if there is no such file, PermissionDenied, InvalidArgument if it is not a regular
  // file or larger than `max_bytes`, DataLoss if it shrinks while it is read, ResourceExhausted
  // without memory. Messages do not name the path, which not everybody may see.
  static absl::StatusOr<FileContent> Read(const std::string& path, int64_t max_bytes);

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::unique_ptr<Arena> memory_;
  std::span<const std::byte> bytes_;
};

}  // namespace skein
