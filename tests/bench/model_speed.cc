// How fast the CPU backend runs a model, against what the machine's memory and arithmetic allow.
//
//   model-speed --model PATH [--threads N] [--rounds N]
//
// Random weights serve (skein-eval make-model). Prints read bandwidth, decode at some batch sizes
// as a fraction of the time that reading the weights takes, and prefill in GFLOP/s of the layers'
// products.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "kernels/cpu/isa.h"
#include "kernels/device/arena.h"
#include "kernels/device/parallel_for.h"
#include "tests/testing/model_runner.h"
#include "tools/skeinctl/options.h"
#include "worker/models/registry.h"

namespace skein {
namespace {

struct Settings {
  std::string model;
  int threads = 0;
  int rounds = 5;
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The best of some rounds: other programs only make it slower.
template <typename F>
double Seconds(int rounds, F work) {
  double best = 1e30;
  for (int i = 0; i < rounds; ++i) {
    const double begin = Now();
    work();
    best = std::min(best, Now() - begin);
  }
  return best;
}

using Words = uint64_t __attribute__((vector_size(64)));

// Reads a piece with fetches ahead: without them this loop, not the memory, is the limit.
uint64_t SumOf(const Words* words, int64_t count) {
  constexpr int64_t kAhead = 64;
  Words sum[4] = {};
  for (int64_t i = 0; i < count; i += 4) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      __builtin_prefetch(words + i + j + kAhead);
      sum[j] += words[i + j];
    }
  }
  const Words all = sum[0] + sum[1] + sum[2] + sum[3];
  uint64_t total = 0;
  for (int j = 0; j < 8; ++j) total += all[j];
  return total;
}

// GB/s of plain reads from an arena, as weights lie in one, beyond the caches of most machines.
absl::StatusOr<double> ReadBandwidth(ParallelFor& threads, int rounds) {
  constexpr int64_t kBytes = int64_t{1} << 30;
  constexpr int64_t kPieces = 2048;
  constexpr int64_t kPieceWords = kBytes / kPieces / static_cast<int64_t>(sizeof(Words));
  ASSIGN_OR_RETURN(const auto arena, Arena::Create(kBytes));
  ASSIGN_OR_RETURN(void* data, arena->Allocate(kBytes));
  std::memset(data, 1, kBytes);
  const Words* words = static_cast<const Words*>(data);
  std::vector<uint64_t> sums(kPieces);
  const double seconds = Seconds(rounds, [&] {
    threads.Run(kPieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sums[i] = SumOf(words + i * kPieceWords, kPieceWords);
    });
  });
  return kBytes / seconds / 1e9;
}

// Weights that a decode step reads: all but the embedding, of which it looks up rows.
double StreamedBytes(const Model& model, const ModelFiles& files) {
  double bytes = static_cast<double>(model.description().weight_bytes);
  for (const char* name : {"emb.weight", "model.embed_tokens.weight"}) {
    const TensorEntry* entry = files.Find(name);
    const bool tied =
        files.Find("head.weight") == nullptr && files.Find("lm_head.weight") == nullptr;
    if (entry != nullptr && !tied) {
      bytes -= static_cast<double>(NumElements(entry->shape) * DTypeBytes(entry->dtype));
    }
  }
  return bytes;
}

// Multiplications and additions that one row takes in the layers.
double LayerFlops(const ModelFiles& files) {
  double weights = 0;
  for (const auto& [name, entry] : files.tensors()) {
    const bool layer =
        name.find("layers.") != std::string::npos || name.find("blocks.") != std::string::npos;
    if (layer && entry.shape.size() == 2) weights += static_cast<double>(NumElements(entry.shape));
  }
  return 2 * weights;
}

void PrintDecode(Model& model, const Stream& stream, int batch, double floor_seconds, int rounds) {
  ModelRunner runner(model, stream, {.sequences = batch, .max_tokens = 64});
  std::vector<ModelRunner::Part> parts;
  for (int s = 0; s < batch; ++s) parts.push_back({s, {s + 5}});
  const double seconds =
      Seconds(rounds, [&] { runner.Step(parts, ModelRunner::Wanted::kLastRows); });
  std::cout << absl::StrFormat(
      "decode, batch %3d    %8.2f ms  %8.1f tokens/s   %5.1f%% of the bandwidth\n", batch,
      seconds * 1e3, batch / seconds, 100 * floor_seconds / seconds);
}

void PrintPrefill(Model& model, const Stream& stream, int rows, double flops, int rounds) {
  ModelRunner runner(model, stream, {.max_tokens = int64_t{rows} * rounds});
  ModelRunner::Part part;
  part.tokens.resize(rows);
  for (int i = 0; i < rows; ++i) part.tokens[i] = i % 200 + 1;
  const double seconds =
      Seconds(rounds, [&] { runner.Step({part}, ModelRunner::Wanted::kLastRows); });
  std::cout << absl::StrFormat("prefill, %4d rows    %8.2f ms  %8.1f tokens/s   %5.1f GFLOP/s\n",
                               rows, seconds * 1e3, rows / seconds, flops * rows / seconds / 1e9);
}

absl::Status Run(const Settings& settings) {
  ParallelFor threads(settings.threads);
  const Stream stream(threads);
  ASSIGN_OR_RETURN(const auto files, ModelFiles::Open(settings.model));
  ModelLoadOptions options;
  options.max_rows = 512;
  const double begin = Now();
  ASSIGN_OR_RETURN(const auto model, LoadModel(*files, options, stream));
  const double load_seconds = Now() - begin;
  ASSIGN_OR_RETURN(const double bandwidth, ReadBandwidth(threads, settings.rounds));
  const double bytes = StreamedBytes(*model, *files);
  std::cout << absl::StrFormat("%s %s, %d threads, %s, loaded in %.1f s\n",
                               model->description().architecture,
                               model->description().weight_format, threads.num_threads(),
                               IsaName(ActiveIsa()), load_seconds)
            << absl::StrFormat("read bandwidth       %.1f GB/s; a step reads %.0f MB: %.2f ms\n",
                               bandwidth, bytes / 1e6, bytes / bandwidth / 1e6);
  for (const int batch : {1, 2, 4, 8, 16, 32}) {
    PrintDecode(*model, stream, batch, bytes / bandwidth / 1e9, settings.rounds);
  }
  for (const int rows : {16, 64, 256, 512}) {
    PrintPrefill(*model, stream, rows, LayerFlops(*files), std::max(1, settings.rounds / 2));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace skein

int main(int argc, char** argv) {
  skein::Settings settings;
  const auto parsed = skein::ctl::ParseArgs(
      {argv + 1, argv + argc},
      {skein::ctl::TextOption("model", "PATH", "model folder or file", &settings.model),
       skein::ctl::IntOption("threads", "N", "compute threads", 1, 1024,
                             [&](int64_t value) { settings.threads = static_cast<int>(value); }),
       skein::ctl::IntOption("rounds", "N", "repetitions", 1, 1000,
                             [&](int64_t value) { settings.rounds = static_cast<int>(value); })});
  const absl::Status status = parsed.ok() ? skein::Run(settings) : parsed.status();
  if (status.ok()) return 0;
  std::cerr << std::string(status.message()) << "\n";
  return 1;
}
