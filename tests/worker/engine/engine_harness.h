// A step loop over FakeModel, and what its output must be.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/device/parallel_for.h"
#include "tests/testing/collecting_sink.h"
#include "tests/testing/fake_model.h"
#include "worker/engine/generation_request.h"
#include "worker/engine/step_loop.h"

namespace skein {

// Small enough that pages, chunks and batches all have borders in a short test.
inline EngineLimits SmallLimits() {
  return {.max_sequences = 8,
          .max_queue = 64,
          .max_rows_per_step = 24,
          .prefill_chunk = 7,
          .page_tokens = 4,
          .kv_bytes = 1 << 20};
}

// The pages of FakeModel with its default layers.
inline int64_t KvBytes(int64_t pages, int page_tokens) {
  return pages * page_tokens * 2 * 2 * 2 * 4;
}

class EngineHarness {
 public:
  struct Config {
    EngineLimits limits = SmallLimits();
    FakeModel::Options model;
    std::shared_ptr<const Tokenizer> tokenizer;
    StepLoop::Options loop;  // its limits are taken from above
    int num_threads = 1;
  };
  explicit EngineHarness(Config config);
  EngineHarness() : EngineHarness(Config()) {}

  StepLoop& loop() const { return *loop_; }
  const FakeModel::Options& model() const { return model_; }
  // Submits with `request.sink` set to a new sink; aborts if it is refused.
  std::shared_ptr<CollectingSink> Start(GenerationRequest request, uint64_t* id = nullptr);
  void Stop() { loop_.reset(); }

 private:
  FakeModel::Options model_;
  ParallelFor threads_;
  std::unique_ptr<StepLoop> loop_;
};

// Greedy, with logprobs, so that the sink sees every token.
GenerationRequest MakeRequest(std::vector<int32_t> prompt, int64_t max_tokens);
GenerationRequest RandomRequest(std::mt19937& random, int64_t vocab_size);

// Two or three states of FakeModel, one of which may be zeros, with weights of either sign.
Conditioning RandomMixture(std::mt19937& random);

// Logits after `tokens`, mixed by hand.
std::vector<float> ReferenceLogits(std::span<const int32_t> tokens,
                                   const Conditioning& conditioning,
                                   const FakeModel::Options& model);
// The tokens of a choice, from the definition: no batch, no memory, the whole history for every
// token.
std::vector<int32_t> ReferenceTokens(const GenerationRequest& request, int choice,
                                     const FakeModel::Options& model);

// Waits for the end, and checks every choice against ReferenceTokens.
void ExpectReference(const GenerationRequest& request, const CollectingSink& sink,
                     const FakeModel::Options& model);

}  // namespace skein
