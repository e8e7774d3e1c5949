// A GenerateRequest as a worker gets it from anyone who can reach its port.
#include <cmath>
#include <memory>

#include "skein/v1/inference.pb.h"
#include "tests/fuzz/fuzz.h"
#include "tests/worker/rpc/profiles.h"
#include "worker/rpc/generate_conversion.h"

namespace {

using skein::fuzz::Require;
using skein::fuzz::RequireFailure;

constexpr uint64_t kSeed = 1;

void CheckEngineRequest(const skein::GenerationRequest& request, const skein::ModelProfile& model) {
  const int64_t vocab_size = model.description.vocab_size;
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  Require(prompt_tokens > 0 && prompt_tokens <= model.max_prompt_tokens, "a prompt has its length");
  for (const int32_t token : request.prompt) {
    Require(token >= 0 && token < vocab_size, "a prompt is made of tokens");
  }
  Require(request.stopping.max_tokens >= 0 && request.stopping.max_tokens <= model.max_tokens,
          "an output has its length");
  Require(prompt_tokens + request.stopping.max_tokens <= model.max_total_tokens,
          "prompt and output have their length together");
  Require(request.num_choices >= 1, "there is a choice");
  Require(request.stopping.stop.size() <= skein::kMaxStopStrings, "stop strings are few");
  for (const std::string& stop : request.stopping.stop) {
    Require(stop.size() <= skein::kMaxStopBytes, "stop strings are short");
  }
  const absl::Status sampling = request.sampling.Validate(vocab_size);
  if (!sampling.ok()) RequireFailure(sampling, {absl::StatusCode::kInvalidArgument});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto& models = *new std::vector<skein::ModelProfile>{
      skein::TestProfile(), skein::ProfileWithoutTokenizer(), skein::ProfileWithoutChat()};
  skein::v1::GenerateRequest message;
  if (!message.ParseFromArray(data, static_cast<int>(size))) return 0;
  for (const skein::ModelProfile& model : models) {
    const auto converted = skein::ConvertGenerate(message, model, skein::Registry(), kSeed);
    if (converted.ok()) {
      CheckEngineRequest(converted->engine, model);
    } else {
      RequireFailure(converted.status(),
                     {absl::StatusCode::kInvalidArgument, absl::StatusCode::kNotFound,
                      absl::StatusCode::kUnimplemented});
    }
  }
  return 0;
}
