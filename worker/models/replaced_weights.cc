#include "worker/models/replaced_weights.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "kernels/device/memory.h"
#include "worker/adapters/adapter_name.h"
#include "worker/weights/model_files.h"
#include "worker/weights/tensor_entry.h"

namespace skein {
namespace {

NamedTensor EntryOf(const ReplacedTensor& tensor) {
  NamedTensor named;
  named.name = tensor.name;
  named.entry.dtype = tensor.dtype;
  named.entry.shape = tensor.shape;
  named.entry.strides = RowMajorStrides(tensor.shape);
  named.entry.data = static_cast<const std::byte*>(tensor.data);
  named.entry.contiguous = true;
  return named;
}

}  // namespace

absl::StatusOr<ReplacedWeights> LoadReplaced(const std::shared_ptr<const Adapter>& adapter,
                                             const Stream& stream,
                                             absl::FunctionRef<void(WeightLoader&)> declare) {
  ReplacedWeights replaced;
  if (adapter->replaced.empty()) return replaced;
  std::vector<NamedTensor> tensors;
  for (const ReplacedTensor& tensor : adapter->replaced) tensors.push_back(EntryOf(tensor));
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelFiles> files,
                   ModelFiles::FromMemory(std::move(tensors), "", adapter));
  WeightLoader loader = WeightLoader::Replacing(
      *files, stream, [](absl::string_view name) { return NativeName(name); });
  declare(loader);
  const absl::StatusOr<int64_t> bytes = loader.PlanBytes();
  if (!bytes.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("replaced tensors: ", std::string(bytes.status().message())));
  }
  replaced.bytes = *bytes;
  ASSIGN_OR_RETURN(replaced.memory, CreateArena(stream, replaced.bytes));
  RETURN_IF_ERROR(loader.Load(*replaced.memory, nullptr));
  return replaced;
}

std::string NativeModule(absl::string_view weight) {
  const std::string name = NativeName(weight);
  return std::string(absl::StripSuffix(name, ".weight"));
}

}  // namespace skein
