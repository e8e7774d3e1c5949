// The safetensors format, and the index of models that are spread over several such files.
// docs/formats.md.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "worker/weights/tensor_entry.h"

namespace skein {

// The tensors of a file whose content is `file`, in the header's order; entries point into it.
// Reads the header alone. DataLoss that names the tensor or the byte if anything is wrong: the
// header's length, its JSON, an unknown type, an impossible shape, offsets that do not fit the
// shape, gaps or overlaps between tensors.
absl::StatusOr<std::vector<NamedTensor>> ReadSafetensors(std::span<const std::byte> file);

// The texts that the header keeps under __metadata__; empty without. DataLoss if the header cannot
// be read.
absl::StatusOr<absl::btree_map<std::string, std::string>> ReadSafetensorsMetadata(
    std::span<const std::byte> file);

// A model.safetensors.index.json: tensor name to the file that holds it. DataLoss unless every file
// is a plain name that ends in ".safetensors".
absl::StatusOr<absl::btree_map<std::string, std::string>> ReadSafetensorsIndex(
    absl::string_view text);

}  // namespace skein
