// What holds for every architecture, whatever its weights: chunks, batches, threads, instruction
// sets, pages and slots change no bit.
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/cpu/isa.h"
#include "tests/testing/golden.h"
#include "tests/testing/model_runner.h"
#include "worker/models/registry.h"

namespace skein {
namespace {

constexpr const char* kModels[] = {"rwkv/rand-x070/model.bf16.safetensors",
                                   "hybrid/hxa079-qknorm/model.safetensors.index.json",
                                   "hybrid/hxa079-bias-n96/model.safetensors"};

std::vector<int32_t> Prompt(int length, int seed) {
  std::vector<int32_t> tokens(length);
  for (int i = 0; i < length; ++i) tokens[i] = (i * i * 7 + i * 13 + seed * 101) % 512;
  return tokens;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class ModelPropertyTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto path = GoldenPath(GetParam());
    if (!path) GTEST_SKIP() << "not in the repository";
    auto files = ModelFiles::Open(*path);
    ASSERT_TRUE(files.ok()) << files.status();
    ModelLoadOptions options;
    options.max_rows = 256;
    auto model = LoadModel(**files, options, Stream(threads_));
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = std::move(*model);
  }

  // Logits of a prompt, and what it leaves in the state.
  struct Run {
    std::vector<float> logits;
    std::vector<std::byte> state;
  };
  Run RunAlone(const std::vector<int32_t>& tokens, int64_t chunk, ParallelFor& threads,
               const ModelRunner::Options& options = {}) {
    ModelRunner runner(*model_, Stream(threads), options);
    Run run;
    run.logits = runner.Feed(0, tokens, chunk);
    EXPECT_TRUE(runner.last_status().ok()) << runner.last_status();
    run.state = runner.Record(0);
    return run;
  }
  static void ExpectSame(const Run& found, const Run& expected) {
    EXPECT_TRUE(SameBits(found.logits, expected.logits));
    EXPECT_TRUE(found.state == expected.state);
  }

  ParallelFor threads_{2};
  std::unique_ptr<Model> model_;
};

TEST_P(ModelPropertyTest, APromptInChunksGivesTheBitsThatItGivesWhole) {
  const std::vector<int32_t> tokens = Prompt(131, 1);
  const Run whole = RunAlone(tokens, 0, threads_);
  for (const int64_t chunk : {1, 7, 16, 64, 130}) {
    SCOPED_TRACE(chunk);
    ExpectSame(RunAlone(tokens, chunk, threads_), whole);
  }
}

TEST_P(ModelPropertyTest, PagesAndThreadsChangeNoBit) {
  const std::vector<int32_t> tokens = Prompt(90, 2);
  const Run expected = RunAlone(tokens, 0, threads_);
  for (const int num_threads : {1, 3, 8}) {
    ParallelFor threads(num_threads);
    ExpectSame(RunAlone(tokens, 16, threads), expected);
  }
  for (const int page_tokens : {1, 5, 64}) {
    ExpectSame(RunAlone(tokens, 16, threads_, {.page_tokens = page_tokens, .scatter_pages = false}),
               expected);
  }
}

TEST_P(ModelPropertyTest, EveryInstructionSetGivesTheSameBits) {
  const std::vector<int32_t> tokens = Prompt(20, 3);
  std::vector<Run> runs;
  for (const Isa isa : SupportedIsas()) {
    const ScopedIsa scope(isa);
    runs.push_back(RunAlone(tokens, 17, threads_));
  }
  for (const Run& run : runs) ExpectSame(run, runs.front());
}

TEST_P(ModelPropertyTest, ASequenceGetsInABatchTheBitsThatItGetsAlone) {
  constexpr int kSequences = 5;
  const int64_t vocab = model_->description().vocab_size;
  ModelRunner runner(*model_, Stream(threads_), {.sequences = kSequences});
  std::vector<std::vector<int32_t>> fed(kSequences);
  std::vector<std::vector<float>> logits(kSequences);
  // Steps that mix prompt chunks of changing length with decodes, in changing order.
  for (int step = 0; step < 8; ++step) {
    std::vector<ModelRunner::Part> parts;
    for (int i = 0; i < kSequences; ++i) {
      const int s = (i + step) % kSequences;
      if ((s + step) % 4 == 3) continue;  // sits this step out
      const int length = (s * 5 + step * 3) % 11 == 0 ? 1 : (s + step) % 3 == 0 ? 9 : 1 + step % 3;
      parts.push_back({s, Prompt(length, 10 * s + step)});
    }
    const std::vector<float> out = runner.Step(parts);
    ASSERT_TRUE(runner.last_status().ok()) << runner.last_status();
    auto at = out.begin();
    for (const ModelRunner::Part& part : parts) {
      const auto end = at + static_cast<int64_t>(part.tokens.size()) * vocab;
      logits[part.sequence].insert(logits[part.sequence].end(), at, end);
      fed[part.sequence].insert(fed[part.sequence].end(), part.tokens.begin(), part.tokens.end());
      at = end;
    }
  }
  for (int s = 0; s < kSequences; ++s) {
    SCOPED_TRACE(s);
    ASSERT_GT(fed[s].size(), 0u);
    const Run alone = RunAlone(fed[s], 0, threads_);
    EXPECT_TRUE(SameBits(logits[s], alone.logits));
    EXPECT_TRUE(runner.Record(s) == alone.state);
  }
}

TEST_P(ModelPropertyTest, RowsWhoseLogitsAreNotWantedChangeNothing) {
  ModelRunner all(*model_, Stream(threads_), {}), last(*model_, Stream(threads_), {});
  const std::vector<int32_t> tokens = Prompt(30, 4);
  const std::vector<float> every = all.Step({{0, tokens}});
  const std::vector<float> one = last.Step({{0, tokens}}, ModelRunner::Wanted::kLastRows);
  const auto vocab = static_cast<int64_t>(one.size());
  EXPECT_TRUE(SameBits(one, {every.end() - vocab, every.end()}));
  EXPECT_TRUE(all.Record(0) == last.Record(0));
}

TEST_P(ModelPropertyTest, TheDescriptionIsFilledIn) {
  const ModelDescription& d = model_->description();
  EXPECT_EQ(d.vocab_size, 512);
  EXPECT_GT(d.num_layers, 0);
  EXPECT_EQ(d.weight_format, "bf16");
  EXPECT_GT(d.num_parameters, 100000);
  EXPECT_GE(d.weight_bytes, 2 * d.num_parameters);
  EXPECT_NE(d.fingerprint, 0u);
  EXPECT_EQ(model_->state_layout().bytes % 64, 0);
}

INSTANTIATE_TEST_SUITE_P(All, ModelPropertyTest, testing::ValuesIn(kModels),
                         [](const testing::TestParamInfo<const char*>& info) {
                           std::string name;
                           for (const char c : std::string(info.param)) {
                             if (c == '.') break;
                             if (std::isalnum(static_cast<unsigned char>(c))) name += c;
                           }
                           return name;
                         });

}  // namespace
}  // namespace skein
