// A tuned state, of either kind of file, for a recurrent and for a hybrid model of a few numbers.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_file.h"
#include "tests/worker/registry/state_layouts.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "worker/registry/tuned_state.h"

namespace skein {
namespace {

using fuzz::Require;

constexpr int64_t kSize = 2;

absl::StatusOr<TunedState> Load(const fuzz::MemoryFile& file, TunedStateLayout layout,
                                const TestStateShape& shape) {
  return LoadTunedState(file.path(), layout, TestDescription(shape), TestStateLayout(shape),
                        Stream());
}

std::string KeyOf(const StateField& field) {
  const char* part = field.name == "wkv"         ? "att.time_state"
                     : field.name == "shift_att" ? "att.ts_state"
                                                 : "ffn.ts_state";
  return absl::StrCat("blocks.", field.layer, ".", part);
}

void CheckFactors(const InitialState& state, const StateField& wkv) {
  if (state.factors == nullptr) return;
  const std::vector<float>& factors = state.factors->layers.at(wkv.layer);
  Require(factors.empty() || static_cast<int64_t>(factors.size()) == wkv.shape[0] * wkv.shape[1],
          "a layer has a factor for each channel, or none");
  for (const float factor : factors) Require(std::isfinite(factor), "factors are finite");
}

void CheckValues(const TunedState& state, const StateLayout& layout) {
  Require(state.bytes == layout.bytes, "the record has the model's size");
  Require(state.layout != TunedStateLayout::kAutomatic, "a layout was used");
  for (const StateField& field : layout.fields) {
    for (const float value : FieldValues(*state.state, layout, field.name, field.layer)) {
      Require(std::isfinite(value), "values are finite");
    }
    if (field.name == "wkv") CheckFactors(*state.state, field);
  }
}

// Written as a plain state and read again it is the same.
void CheckRewritten(const fuzz::MemoryFile& file, const TunedState& state,
                    const TestStateShape& shape) {
  const StateLayout layout = TestStateLayout(shape);
  std::vector<TestTensor> tensors;
  tensors.reserve(layout.fields.size());
  for (const StateField& field : layout.fields) {
    tensors.push_back(MakeTestTensor(KeyOf(field), DType::kF32, field.shape,
                                     FieldValues(*state.state, layout, field.name, field.layer)));
  }
  file.Write(SafetensorsBytes(tensors));
  const auto again = Load(file, TunedStateLayout::kValueKey, shape);
  Require(again.ok(), "what is read can be written and read again", again.status().ToString());
  Require(again->state->content_hash == state.state->content_hash, "with the same hash");
  Require(again->warnings.empty(), "and nothing to say about it");
}

void CheckTransposed(const TunedState& one, const TunedState& other, const StateLayout& layout) {
  for (const StateField& field : layout.fields) {
    const auto a = FieldValues(*one.state, layout, field.name, field.layer);
    const auto b = FieldValues(*other.state, layout, field.name, field.layer);
    const bool matrices = field.name == "wkv";
    for (size_t i = 0; i < a.size(); ++i) {
      const size_t row = i / kSize % kSize;
      const size_t col = i % kSize;
      const size_t turned = i - i % (kSize * kSize) + col * kSize + row;
      Require(a[i] == b[matrices ? turned : i], "layouts exchange values and keys, nothing else");
    }
  }
}

void CheckModel(const fuzz::MemoryFile& file, const TestStateShape& shape) {
  const auto state = Load(file, TunedStateLayout::kValueKey, shape);
  const auto turned = Load(file, TunedStateLayout::kKeyValue, shape);
  const auto automatic = Load(file, TunedStateLayout::kAutomatic, shape);
  Require(state.status() == turned.status(), "the layout does not decide whether a file is good");
  if (!state.ok()) {
    Require(!automatic.ok(), "nor does leaving it to the file");
    fuzz::RequireFailure(state.status(),
                         {absl::StatusCode::kInvalidArgument, absl::StatusCode::kDataLoss,
                          absl::StatusCode::kUnimplemented});
    Require(state.status().message().size() < 4096, "a refusal is short");
    return;
  }
  const StateLayout layout = TestStateLayout(shape);
  CheckValues(*state, layout);
  CheckTransposed(*state, *turned, layout);
  Require((state->state->factors == nullptr) == (turned->state->factors == nullptr),
          "nor whether it has offsets");
  if (automatic.ok()) {
    const TunedState& same = automatic->layout == TunedStateLayout::kValueKey ? *state : *turned;
    Require(automatic->state->content_hash == same.state->content_hash, "the file's own layout");
  }
  if (state->state->factors == nullptr) CheckRewritten(file, *state, shape);
}

void CheckFile(absl::string_view content) {
  static const fuzz::MemoryFile file;
  static const TestStateShape kRecurrent = {.layers = 2, .heads = 1, .head_size = kSize};
  static const TestStateShape kHybrid = {
      .layers = 3, .heads = 2, .head_size = kSize, .attention = {1}};
  for (const TestStateShape& shape : {kRecurrent, kHybrid}) {
    file.Write(content);
    CheckModel(file, shape);
  }
}

}  // namespace
}  // namespace skein

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  skein::CheckFile(skein::fuzz::Text(data, size));
  return 0;
}
