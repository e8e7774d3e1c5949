// The directory of a zip archive whose entries are stored uncompressed, as torch writes them.
// docs/formats.md.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

// Immutable; points into the bytes it was opened on.
class ZipArchive {
 public:
  // DataLoss, naming the entry or the byte, if a record is damaged, lies outside the file or
  // overlaps another, or a name occurs twice. Unimplemented for compressed or encrypted entries and
  // archives in several parts.
  static absl::StatusOr<ZipArchive> Open(std::span<const std::byte> file);

  // By their full names.
  const absl::btree_map<std::string, std::span<const std::byte>>& entries() const {
    return entries_;
  }

 private:
  ZipArchive() = default;

  absl::btree_map<std::string, std::span<const std::byte>> entries_;
};

}  // namespace skein
