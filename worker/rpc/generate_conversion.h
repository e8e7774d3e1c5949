// From request messages to what the engine takes, with every check that needs no running engine.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "skein/v1/inference.pb.h"
#include "worker/engine/generation_request.h"
#include "worker/engine/model_host.h"
#include "worker/registry/registry.h"

namespace skein {

inline constexpr int kMaxTopLogprobs = 20;
inline constexpr int kMaxStopStrings = 16;
inline constexpr int kMaxStopBytes = 1024;  // of each

struct ConvertedGenerate {
  GenerationRequest engine;  // without sink, deadline and request id
  std::string echo;          // what precedes the text of each choice
};

// Fills the defaults of what was left out; `random_seed` is taken if no seed was given.
// InvalidArgument, NotFound for a state that is not registered or, for parts that are reserved,
// Unimplemented; the message starts with the field's name.
absl::StatusOr<ConvertedGenerate> ConvertGenerate(const v1::GenerateRequest& request,
                                                  const ModelProfile& model,
                                                  const Registry& registry, uint64_t random_seed);

// A request that draws nothing and reports the log-probabilities of its prompt. Errors as above.
absl::StatusOr<GenerationRequest> ConvertScore(const v1::ScoreRequest& request,
                                               const ModelProfile& model, const Registry& registry);

}  // namespace skein
