#include "tools/skein-eval/conditions.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

#include "common/base/status_macros.h"
#include "kernels/device/parallel_for.h"
#include "worker/adapters/base_tensors.h"
#include "worker/adapters/load_adapter.h"
#include "worker/registry/mixture.h"

namespace skein::eval {
namespace {

constexpr int kMostStates = 64;

struct Split {
  absl::string_view front, back;  // before and behind the last colon
};
std::optional<Split> AtLastColon(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return std::nullopt;
  return Split{text.substr(0, colon), text.substr(colon + 1)};
}

// FILE[:LAYOUT]. What follows a colon may also be part of the file's name.
Conditions::State ParseState(absl::string_view text) {
  const std::optional<Split> split = AtLastColon(text);
  if (split.has_value()) {
    const auto layout = ParseTunedStateLayout(split->back);
    if (layout.ok()) return {.path = std::string(split->front), .layout = *layout};
  }
  return {.path = std::string(text)};
}

absl::Status SetState(const std::string& value, Conditions& out) {
  if (!out.states.empty()) {
    return absl::InvalidArgumentError("--state: there is a state already; mix with --mixture");
  }
  out.states.push_back(ParseState(value));
  return absl::OkStatus();
}

absl::Status SetMixture(const std::string& value, Conditions& out) {
  if (!out.states.empty()) {
    return absl::InvalidArgumentError("--mixture: there is a state already, expected one of them");
  }
  for (const absl::string_view part : absl::StrSplit(value, ',')) {
    const std::optional<Split> split = AtLastColon(part);
    float weight = 0;
    if (!split.has_value() || !absl::SimpleAtof(split->back, &weight)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--mixture: \"", part, "\", expected FILE:WEIGHT"));
    }
    out.states.push_back(ParseState(split->front));
    out.states.back().weight = weight;
  }
  return absl::OkStatus();
}

absl::Status AddAdapter(const std::string& value, Conditions& out) {
  const std::optional<Split> split = AtLastColon(value);
  float scaling = 0;
  if (split.has_value() && absl::SimpleAtof(split->back, &scaling)) {
    out.adapters.push_back({std::string(split->front), scaling});
  } else {
    out.adapters.push_back({value, std::nullopt});
  }
  return absl::OkStatus();
}

class Loader {
 public:
  Loader(const ModelFiles& files, const Model& model, const Stream& stream)
      : files_(files), model_(model), stream_(stream) {}

  absl::StatusOr<LoadedConditions> Run(const Conditions& conditions) {
    RETURN_IF_ERROR(AddStates(conditions.states));
    const bool wants_no_state = conditions.states.empty();
    for (const Conditions::AdapterFile& file : conditions.adapters) {
      RETURN_IF_ERROR(AddAdapterFile(file, wants_no_state));
    }
    RETURN_IF_ERROR(CheckApplied(loaded_.adapters));
    if (loaded_.branches.empty()) loaded_.branches.emplace_back();
    return std::move(loaded_);
  }

 private:
  absl::Status AddStates(const std::vector<Conditions::State>& states) {
    if (states.empty()) return absl::OkStatus();
    StateMix mix;
    for (size_t i = 0; i < states.size(); ++i) {
      mix.parts.push_back({absl::StrCat(i), states[i].weight});
    }
    ASSIGN_OR_RETURN(const std::vector<MixPart> parts, NormaliseMix(mix, kMostStates));
    for (const MixPart& part : parts) {
      size_t index = 0;
      if (!absl::SimpleAtoi(part.state, &index)) return absl::InternalError(part.state);
      RETURN_IF_ERROR(AddState(states[index], part.weight));
    }
    return absl::OkStatus();
  }

  absl::Status AddState(const Conditions::State& state, float weight) {
    if (state.path.empty()) {
      Say(absl::StrCat("state zeros, weight ", weight));
      loaded_.branches.push_back({nullptr, weight});
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(TunedState tuned,
                     LoadTunedState(state.path, state.layout, model_.description(),
                                    model_.state_layout(), stream_));
    Say(absl::StrCat("state ", tuned.state->content_hash, ", ", TunedStateLayoutName(tuned.layout),
                     weight == 1 ? "" : absl::StrCat(", weight ", weight)));
    for (const std::string& warning : tuned.warnings) Say(absl::StrCat("state: ", warning));
    loaded_.branches.push_back({std::move(tuned.state), weight});
    return absl::OkStatus();
  }

  absl::Status AddAdapterFile(const Conditions::AdapterFile& file, bool wants_no_state) {
    AdapterOptions options;
    options.scaling = file.scaling;
    const CheckpointTensors base(files_);
    ParallelFor threads(0);
    ASSIGN_OR_RETURN(Adapter read, LoadAdapter(file.path, options, base, threads));
    const auto adapter = std::make_shared<const Adapter>(std::move(read));
    Say(absl::StrCat("adapter ", adapter->content_hash, ", ", adapter->Methods()));
    for (const std::string& warning : adapter->warnings) Say(absl::StrCat("adapter: ", warning));
    ASSIGN_OR_RETURN(auto bound, model_.Bind(adapter, stream_));
    loaded_.adapters.push_back({std::move(bound), std::nullopt, file.path});
    if (!wants_no_state || adapter->state.empty()) return absl::OkStatus();
    if (!loaded_.branches.empty()) {
      return absl::InvalidArgumentError(
          "--adapter: two of them come with a state to start from; name one with --state");
    }
    ASSIGN_OR_RETURN(TunedState tuned,
                     MakeTunedState(adapter->state, TunedStateLayout::kAutomatic,
                                    model_.description(), model_.state_layout(), stream_));
    Say(absl::StrCat("state ", tuned.state->content_hash, ", of the adapter"));
    loaded_.branches.push_back({std::move(tuned.state), 1});
    return absl::OkStatus();
  }

  void Say(absl::string_view line) { absl::StrAppend(&loaded_.description, line, "\n"); }

  const ModelFiles& files_;
  const Model& model_;
  const Stream stream_;
  LoadedConditions loaded_;
};

}  // namespace

std::vector<ctl::Option> ConditionOptionTable(Conditions& out) {
  return {
      {"state", "FILE[:LAYOUT]", "tuned state to start from; LAYOUT is vk, kv or auto (default)",
       [&out](const std::string& value) { return SetState(value, out); }},
      {"mixture", "FILE:WEIGHT,...",
       "states side by side, logits added up by weight; no FILE is zeros",
       [&out](const std::string& value) { return SetMixture(value, out); }},
      {"adapter", "FILE[:SCALE]",
       "adapter, and what it is scaled by if the file does not say; again for another",
       [&out](const std::string& value) { return AddAdapter(value, out); }},
  };
}

absl::StatusOr<LoadedConditions> LoadConditions(const Conditions& conditions,
                                                const ModelFiles& files, const Model& model,
                                                const Stream& stream) {
  return Loader(files, model, stream).Run(conditions);
}

}  // namespace skein::eval
