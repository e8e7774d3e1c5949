// A batch for the sampler with room for its outputs, and the backends that can run it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"

#include "kernels/sample/sample.h"

namespace skein {

struct SampleBatch {
  // `num_logits` rows of logits; 0: as many as `num_rows`.
  SampleBatch(int64_t num_rows, int64_t vocab, int64_t num_logits = 0);

  void Randomise(uint32_t seed, float deviation = 3);
  // Views of the vectors below; lists without entries are absent.
  SampleArgs Args();

  int64_t vocab;
  std::vector<float> logits;
  std::vector<int32_t> logits_row;  // empty: row i has logits i
  std::vector<SampleRow> rows;
  std::vector<int32_t> penalty_begin, bias_begin, banned_begin, banned;
  std::vector<PenaltyEntry> penalties;
  std::vector<BiasEntry> biases;
  std::vector<uint32_t> masks;

  std::vector<int32_t> tokens;  // -1 until written
  std::vector<SampleOutcome> outcomes;
  std::vector<float> logprobs;
  std::vector<int32_t> top_tokens;
  std::vector<float> top_logprobs;
};

enum class Backend { kCpu, kCuda };
std::vector<Backend> BuiltBackends();
// Those of them that this machine has.
std::vector<Backend> RunnableBackends();

// Validates, runs and waits.
absl::Status RunOn(Backend backend, SampleBatch& batch);

#if SKEIN_CUDA
// On the GPU with a call of the caller's choice, which gets arguments that the GPU can read.
absl::Status RunOnCuda(SampleBatch& batch,
                       const std::function<absl::Status(const SampleArgs&)>& run);
#endif

}  // namespace skein
