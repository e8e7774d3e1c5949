#include "tests/kernels/sample/sample_batch.h"

#include <cstring>
#include <memory>
#include <random>

#include "common/base/status_macros.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

template <typename T>
int64_t SizeOf(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size());
}

}  // namespace

SampleBatch::SampleBatch(int64_t num_rows, int64_t vocab, int64_t num_logits)
    : vocab(vocab),
      logits((num_logits == 0 ? num_rows : num_logits) * vocab),
      rows(num_rows),
      tokens(num_rows, -1),
      outcomes(num_rows),
      logprobs(num_rows),
      top_tokens(num_rows * kMaxTopLogprobs),
      top_logprobs(num_rows * kMaxTopLogprobs) {}

void SampleBatch::Randomise(uint32_t seed, float deviation) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  for (float& logit : logits) logit = normal(random);
}

SampleArgs SampleBatch::Args() {
  const int64_t n = SizeOf(rows);
  SampleArgs args;
  args.logits = {logits.data(), {SizeOf(logits) / vocab, vocab}};
  if (!logits_row.empty()) args.logits_row = {logits_row.data(), {SizeOf(logits_row)}};
  args.rows = {rows.data(), {n}};
  if (!penalties.empty()) {
    args.penalty_begin = {penalty_begin.data(), {n + 1}};
    args.penalties = {penalties.data(), {SizeOf(penalties)}};
  }
  if (!biases.empty()) {
    args.bias_begin = {bias_begin.data(), {n + 1}};
    args.biases = {biases.data(), {SizeOf(biases)}};
  }
  if (!banned.empty()) {
    args.banned_begin = {banned_begin.data(), {n + 1}};
    args.banned = {banned.data(), {SizeOf(banned)}};
  }
  const int64_t words = (vocab + 31) / 32;
  if (!masks.empty()) args.masks = {masks.data(), {SizeOf(masks) / words, words}};
  args.tokens = {tokens.data(), {n}};
  args.outcomes = {outcomes.data(), {n}};
  args.logprobs = {logprobs.data(), {n}};
  args.top_tokens = {top_tokens.data(), {n, kMaxTopLogprobs}};
  args.top_logprobs = {top_logprobs.data(), {n, kMaxTopLogprobs}};
  return args;
}

std::vector<Backend> BuiltBackends() {
#if SKEIN_CUDA
  return {Backend::kCpu, Backend::kCuda};
#else
  return {Backend::kCpu};
#endif
}

std::vector<Backend> RunnableBackends() {
#if SKEIN_CUDA
  if (HasGpu()) return {Backend::kCpu, Backend::kCuda};
#endif
  return {Backend::kCpu};
}

absl::Status RunOn(Backend backend, SampleBatch& batch) {
#if SKEIN_CUDA
  if (backend == Backend::kCuda) {
    return RunOnCuda(
        batch, [](const SampleArgs& args) { return Sample(args, Stream(TestCudaContext())); });
  }
#endif
  static_cast<void>(backend);
  ParallelFor threads(2);
  return Sample(batch.Args(), Stream(threads));
}

#if SKEIN_CUDA
absl::Status RunOnCuda(SampleBatch& batch,
                       const std::function<absl::Status(const SampleArgs&)>& run) {
  std::vector<std::shared_ptr<void>> pinned;
  std::vector<std::function<void()>> copies_back;
  const auto move = [&](auto& view, bool is_output) {
    if (view.empty()) return;
    const size_t bytes = view.size() * sizeof(*view.data());
    pinned.push_back(PinnedAllocate(bytes));
    void* there = pinned.back().get();
    std::memcpy(there, view.data(), bytes);
    if (is_output) {
      void* here = const_cast<void*>(static_cast<const void*>(view.data()));
      copies_back.push_back([=] { std::memcpy(here, there, bytes); });
    }
    view = {static_cast<decltype(view.data())>(there), view.shape()};
  };
  SampleArgs args = batch.Args();
  move(args.logits, false);
  move(args.logits_row, false);
  move(args.rows, false);
  move(args.penalty_begin, false);
  move(args.penalties, false);
  move(args.bias_begin, false);
  move(args.biases, false);
  move(args.banned_begin, false);
  move(args.banned, false);
  move(args.masks, false);
  move(args.tokens, true);
  move(args.outcomes, true);
  move(args.logprobs, true);
  move(args.top_tokens, true);
  move(args.top_logprobs, true);
  RETURN_IF_ERROR(run(args));
  RETURN_IF_ERROR(Synchronize());
  for (const auto& copy : copies_back) copy();
  return absl::OkStatus();
}
#endif

}  // namespace skein
