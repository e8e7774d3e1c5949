#include "tests/worker/adapters/adapter_maker.h"

#include <utility>

#include "absl/strings/match.h"

#include "common/base/check.h"
#include "worker/adapters/adapter_name.h"

namespace skein {

FakeFile AdapterMaker::Make(const std::string& method) {
  for (const auto& [name, entry] : files_.tensors()) {
    const std::string native = NativeName(name);
    if (method == "replacement") {
      Replace(name, native, entry);
    } else if (method == "experts") {
      if (absl::EndsWith(native, "ffn.key.weight")) {
        const std::string module = native.substr(0, native.size() - 11);
        file_.AddExperts(module, entry.shape[1], entry.shape[0], 4, 4, 2);
      }
    } else if (absl::EndsWith(native, ".weight") && entry.shape.size() == 2 &&
               native != "emb.weight") {
      Change(method, native.substr(0, native.size() - 7), entry.shape[0], entry.shape[1]);
    }
  }
  return std::move(file_);
}

std::vector<float> AdapterMaker::Values(int64_t count, float middle, float width) {
  std::uniform_real_distribution<float> uniform(middle - width, middle + width);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random_);
  return values;
}

void AdapterMaker::Small(const std::string& name, const Shape& shape) {
  file_.AddValues(name, shape, Values(NumElements(shape), 0.0f, 0.03f));
}

void AdapterMaker::Change(const std::string& method, const std::string& module, int64_t outputs,
                          int64_t inputs) {
  if (method == "bone") return Small(module + ".bone", {inputs / rank_, rank_, rank_});
  if (method == "miss") return Small(module + ".disha", {rank_ + 8, outputs});
  Small(module + ".lora_A", {rank_, inputs});
  Small(module + ".lora_B", {outputs, rank_});
  if (method == "dora") {
    file_.AddValues(module + ".lora_M", {1, inputs}, Values(inputs, 0.6f, 0.3f));
  }
  if (method == "dora_rows") {
    file_.AddValues(module + ".lora_magnitude_vector", {outputs}, Values(outputs, 0.6f, 0.3f));
  }
}

void AdapterMaker::Replace(const std::string& name, const std::string& native,
                           const TensorEntry& entry) {
  if (absl::EndsWith(name, "head_size_record") || absl::EndsWith(name, "layer_architecture")) {
    return;
  }
  const bool large = entry.shape.size() == 2 && absl::EndsWith(native, ".weight");
  if (native == "blocks.1.att.key.weight") {
    file_.AddLora("blocks.1.att.key", entry.shape[0], entry.shape[1], 4);
  }
  if (large && !absl::StartsWith(native, "blocks.1.")) return;
  std::vector<float> values(NumElements(entry.shape));
  SKEIN_CHECK(ModelFiles::CopyFloat(entry, values.data()).ok());
  for (float& value : values) value += Values(1, 0.0f, 0.02f)[0];
  file_.AddValues(native, entry.shape, std::move(values));
}

}  // namespace skein
