// Tuned states: files that hold what the sequences of one model start from. docs/formats.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "kernels/device/stream.h"
#include "worker/memory/initial_state.h"
#include "worker/models/model.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

// Orientation of a file's WKV matrices [head, value, key] or [head, key, value], of which most
// files say nothing.
enum class TunedStateLayout {
  kAutomatic,  // as the safetensors metadata say; else kKeyValue for *.state, kValueKey for others
  kValueKey,
  kKeyValue,
};
// "automatic", "value-key", "key-value".
absl::string_view TunedStateLayoutName(TunedStateLayout layout);
// Takes these names, and "auto", "vk" and "kv". InvalidArgument for any other.
absl::StatusOr<TunedStateLayout> ParseTunedStateLayout(absl::string_view name);

struct TunedState {
  std::shared_ptr<const InitialState> state;
  TunedStateLayout layout = TunedStateLayout::kValueKey;  // that was used, never kAutomatic
  int64_t bytes = 0;                                      // of the record
  std::vector<std::string> warnings;                      // such as keys that are not used
};

// Reads the .pth or safetensors file at `path` for the model that has `model` and `fields` as its
// description and state layout, and brings it to where `stream` computes. Takes as long as reading
// the file takes, and may run beside the model's steps: nothing is enqueued on `stream`. Messages
// start with the file's name, without its folder, and go on with the key.
// NotFound or PermissionDenied for the file. InvalidArgument if it is none, or is above 1 GiB, or
// is not for this model: no time_state, an RWKV layer without one, a layer that the model does not
// have or that is not RWKV, other shapes, types that are not floating point, token shifts that the
// layer does not have, time_offset2, a time_offset other than zeros beside time_offset_y. DataLoss
// for a damaged file and for values that are not finite. Unimplemented as ReadPth, and for time
// offsets on a GPU. ResourceExhausted without memory.
absl::StatusOr<TunedState> LoadTunedState(const std::string& path, TunedStateLayout layout,
                                          const ModelDescription& model, const StateLayout& fields,
                                          const Stream& stream);

// The same from tensors that were read already; kAutomatic is kValueKey. Messages start with the
// key.
absl::StatusOr<TunedState> MakeTunedState(std::span<const NamedTensor> tensors,
                                          TunedStateLayout layout, const ModelDescription& model,
                                          const StateLayout& fields, const Stream& stream);
// Whether a tensor of an adapter file belongs to a tuned state.
bool IsTunedStateKey(absl::string_view name);

}  // namespace skein
