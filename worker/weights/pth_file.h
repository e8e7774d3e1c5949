// Checkpoints that torch.save wrote, version 1.6 or later: a zip archive with a pickle and the
// storages it names.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

#include "worker/weights/tensor_entry.h"

namespace skein {

// The tensors of a file whose content is `file`; entries point into it. Reads the archive's
// directory and its pickle, not the storages. DataLoss that names the tensor, the zip entry or the
// byte if anything is wrong or if all tensors together are far larger than the file; Unimplemented
// for the format of older versions and for big-endian files.
absl::StatusOr<std::vector<NamedTensor>> ReadPth(std::span<const std::byte> file);

}  // namespace skein
