// An adapter, of either kind of file, for a model of a few numbers. The input is
// adapter_config.json (or nothing, for a native file), the byte 0x1f, and the file.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/worker/adapters/adapter_fixture.h"
#include "tests/worker/adapters/unmerged.h"
#include "worker/adapters/merge.h"
#include "worker/weights/pth_file.h"
#include "worker/weights/safetensors_file.h"

namespace skein {
namespace {

using fuzz::Require;

const FakeBase& Base() {
  static const FakeBase base(4, 8);
  return base;
}

ParallelFor& Threads() {
  static ParallelFor threads(1);
  return threads;
}

absl::StatusOr<std::vector<NamedTensor>> ReadFile(absl::string_view content) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(content.data()),
                                         content.size());
  return content.substr(0, 2) == "PK" ? ReadPth(bytes) : ReadSafetensors(bytes);
}

void CheckModule(const AdapterModule& module) {
  const absl::Status status = module.Validate();
  Require(status.ok(), "what is accepted is whole", status.ToString());
  Require(std::isfinite(module.scale), "the scaling is finite");
  for (const TensorView<const float>& factors : {module.input_scale, module.output_scale}) {
    for (int64_t i = 0; i < factors.size(); ++i) {
      Require(std::isfinite(factors[i]), "factors are finite");
    }
  }
}

// Both ways of applying it reach every value of it.
void CheckApplied(const Adapter& adapter, const AdaptedLinear& linear) {
  CheckModule(linear.hooks);
  const std::string name = linear.module + ".weight";
  const auto merged = MergedTensor(adapter, name, Base(), Threads());
  Require(merged.ok(), "what is accepted can be merged", merged.status().ToString());
  if (!linear.hooks.unmerged()) return;
  const std::vector<float> x(static_cast<size_t>(2 * linear.hooks.inputs), 0.5f);
  UnmergedProduct(linear.hooks, AsMatrix(*merged, linear.hooks.outputs, linear.hooks.inputs), x,
                  Threads());
}

void CheckAdapter(const Adapter& adapter) {
  Require(adapter.content_hash.size() == 16, "an adapter has an identity");
  Require(!adapter.Methods().empty(), "an adapter does something");
  for (const AdaptedLinear& linear : adapter.linears) {
    Require(adapter.FindLinear(linear.module) == &linear, "layers are found by their names");
    CheckApplied(adapter, linear);
  }
  for (const AdaptedChannelMix& mix : adapter.channel_mixes) {
    Require(mix.mole.Validate().ok(), "mixtures are whole");
    for (const MoleExperts::Expert& expert : mix.experts) {
      CheckModule(expert.key);
      CheckModule(expert.value);
    }
  }
  for (const ReplacedTensor& tensor : adapter.replaced) {
    const auto values = MergedTensor(adapter, tensor.name, Base(), Threads());
    Require(values.ok(), "replaced tensors can be read", values.status().ToString());
  }
}

absl::StatusOr<Adapter> Make(const std::vector<NamedTensor>& tensors,
                             const std::optional<PeftConfig>& peft, const AdapterOptions& options) {
  return MakeAdapter(tensors, peft, options, Base(), Threads());
}

void CheckOptions(std::vector<NamedTensor> tensors, const std::optional<PeftConfig>& peft,
                  const AdapterOptions& options) {
  const auto adapter = Make(tensors, peft, options);
  std::reverse(tensors.begin(), tensors.end());
  const auto reversed = Make(tensors, peft, options);
  Require(adapter.status().code() == reversed.status().code(),
          "the order of entries does not decide whether a file is good");
  if (!adapter.ok()) {
    fuzz::RequireFailure(adapter.status(),
                         {absl::StatusCode::kInvalidArgument, absl::StatusCode::kDataLoss,
                          absl::StatusCode::kUnimplemented});
    Require(adapter.status().message().size() < 8192, "a refusal is short");
    return;
  }
  Require(adapter->content_hash == reversed->content_hash, "nor what the adapter is");
  CheckAdapter(*adapter);
}

void CheckInput(absl::string_view input) {
  fuzz::Parts parts(input);
  const absl::string_view config = parts.Next();
  std::optional<PeftConfig> peft;
  if (!config.empty()) {
    auto parsed = ParsePeftConfig(config);
    if (!parsed.ok()) {
      return fuzz::RequireFailure(parsed.status(),
                                  {absl::StatusCode::kDataLoss, absl::StatusCode::kUnimplemented});
    }
    peft = *std::move(parsed);
  }
  const auto tensors = ReadFile(parts.Rest());
  if (!tensors.ok()) {
    return fuzz::RequireFailure(tensors.status(),
                                {absl::StatusCode::kDataLoss, absl::StatusCode::kUnimplemented});
  }
  CheckOptions(*tensors, peft, {});
  CheckOptions(*tensors, peft, {.alpha = 3.0f, .mole_rule = 1, .output_blocks = true});
}

}  // namespace
}  // namespace skein

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  skein::CheckInput(skein::fuzz::Text(data, size));
  return 0;
}
