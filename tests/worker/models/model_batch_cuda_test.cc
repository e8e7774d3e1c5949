// What holds on a GPU for every architecture, whatever its weights: two runs give the same bits,
// neighbours change no bit of a row, and with batch_invariant their number does not either.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "kernels/device/device.h"
#include "kernels/device/parallel_for.h"
#include "tests/testing/golden.h"
#include "tests/testing/model_runner.h"
#include "tools/random_model/model_in_memory.h"
#include "tools/random_model/shapes.h"
#include "worker/models/registry.h"

namespace skein {
namespace {

constexpr int64_t kMaxRows = 1024;
constexpr int kMaxSequences = 200;

absl::StatusOr<std::unique_ptr<ModelFiles>> OpenGolden(const std::string& name) {
  const auto path = GoldenPath(name);
  return path ? ModelFiles::Open(*path) : absl::NotFoundError(name);
}

// Few layers and a small vocabulary, but products of the size for which the fast kernels are made.
absl::StatusOr<std::unique_ptr<ModelFiles>> MakeWide(const std::string& name) {
  auto shape = random_model::FindShape(name);
  if (!shape.ok()) return shape.status();
  shape->layers = shape->hybrid ? shape->attention_every : 2;
  shape->vocab = 1000;
  if (shape->hybrid) {
    shape->width = 2048;
    shape->heads = 16;
    shape->kv_heads = 4;
    shape->ffn_width = 6144;
  } else {
    shape->ffn_zeros = 0.85;
  }
  ParallelFor threads(0);
  return random_model::ModelInMemory(*shape, shape->hybrid ? DType::kBF16 : DType::kF16, 1,
                                     threads);
}

struct Case {
  const char* name;
  std::function<absl::StatusOr<std::unique_ptr<ModelFiles>>()> open;
  DType state = DType::kF32;
};

// What the steps gave one sequence.
struct Row {
  std::vector<float> logits;  // of all steps
  std::vector<std::byte> state;
};

// Where two results part, which tells the faulty operation from those that only pass it on.
template <typename T>
std::string Difference(const std::vector<T>& found, const std::vector<T>& wanted) {
  std::vector<size_t> parted;
  for (size_t i = 0; i < std::min(found.size(), wanted.size()); ++i) {
    if (std::memcmp(&found[i], &wanted[i], sizeof(T)) != 0) parted.push_back(i);
  }
  if (parted.empty()) return absl::StrCat("all ", found.size(), " alike");
  return absl::StrCat(parted.size(), " of ", found.size(), " differ, the first at ", parted.front(),
                      ", the last at ", parted.back());
}

class ModelBatchCudaTest : public testing::TestWithParam<Case> {
 protected:
  void Open(bool batch_invariant) {
    runner_.reset();
    model_.reset();
    auto device = CreateCudaDevice({.batch_invariant = batch_invariant});
    if (!device.ok()) {
      ASSERT_EQ(std::getenv("SKEIN_REQUIRE_GPU"), nullptr) << device.status();
      GTEST_SKIP() << device.status();
    }
    device_ = *std::move(device);
    ModelFiles* const files = Files();
    ASSERT_NE(files, nullptr);
    ModelLoadOptions options;
    options.max_rows = kMaxRows;
    options.state_dtype = GetParam().state;
    auto model = LoadModel(*files, options, device_->stream());
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    runner_ = std::make_unique<ModelRunner>(*model_, device_->stream(),
                                            ModelRunner::Options{.sequences = kMaxSequences});
  }

  // Made once for all tests of a case.
  static ModelFiles* Files() {
    static std::map<std::string, std::unique_ptr<ModelFiles>>& known =
        *new std::map<std::string, std::unique_ptr<ModelFiles>>;
    std::unique_ptr<ModelFiles>& files = known[GetParam().name];
    if (files == nullptr) {
      auto opened = GetParam().open();
      EXPECT_TRUE(opened.ok()) << opened.status();
      if (opened.ok()) files = *std::move(opened);
    }
    return files.get();
  }

  std::vector<int32_t> Tokens(int64_t count, int64_t seed) const {
    const int64_t vocab = model_->description().vocab_size;
    std::vector<int32_t> tokens(count);
    for (int64_t i = 0; i < count; ++i) {
      tokens[i] = static_cast<int32_t>((i * i * 7 + i * 13 + seed * 101 + 5) % vocab);
    }
    return tokens;
  }

  // Runs steps in which sequence i feeds lengths[step][i] tokens, drawn by seeds[i].
  void RunSteps(const std::vector<std::vector<int64_t>>& lengths,
                const std::vector<int64_t>& seeds) {
    const size_t count = seeds.size();
    runner_->Reset();
    const int64_t vocab = model_->description().vocab_size;
    logits_.assign(count, {});
    for (size_t step = 0; step < lengths.size(); ++step) {
      std::vector<ModelRunner::Part> parts;
      for (size_t i = 0; i < count; ++i) {
        const auto seed = seeds[i] + static_cast<int64_t>(1000 * step);
        parts.push_back({static_cast<int>(i), Tokens(lengths[step][i], seed)});
      }
      const std::vector<float> logits = runner_->Step(parts, ModelRunner::Wanted::kLastRows);
      EXPECT_TRUE(runner_->last_status().ok()) << runner_->last_status();
      for (size_t i = 0; i < count; ++i) {
        const auto at = logits.begin() + static_cast<int64_t>(i) * vocab;
        logits_[i].insert(logits_[i].end(), at, at + vocab);
      }
    }
  }

  // Four steps of one token each.
  void Decode(const std::vector<int64_t>& seeds) {
    RunSteps({4, std::vector<int64_t>(seeds.size(), 1)}, seeds);
  }

  // Of the last run.
  Row Result(size_t sequence) const { return {logits_[sequence], Record(sequence)}; }
  std::vector<std::byte> Record(size_t sequence) const {
    return runner_->Record(static_cast<int>(sequence));
  }
  testing::AssertionResult ResultIs(size_t sequence, const Row& row) const {
    const std::vector<float>& logits = logits_[sequence];
    EXPECT_EQ(logits.size(), row.logits.size());
    if (std::memcmp(logits.data(), row.logits.data(), logits.size() * sizeof(float)) == 0 &&
        runner_->RecordIs(static_cast<int>(sequence), row.state)) {
      return testing::AssertionSuccess();
    }
    return testing::AssertionFailure() << Difference(logits, row.logits)
                                       << "; states: " << Difference(Record(sequence), row.state);
  }
  std::vector<Row> Results() const {
    std::vector<Row> rows;
    for (size_t i = 0; i < logits_.size(); ++i) rows.push_back(Result(i));
    return rows;
  }
  void ExpectResults(const std::vector<Row>& rows) const {
    ASSERT_EQ(rows.size(), logits_.size());
    for (size_t i = 0; i < rows.size(); ++i) EXPECT_TRUE(ResultIs(i, rows[i])) << "row " << i;
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<ModelRunner> runner_;
  std::vector<std::vector<float>> logits_;  // of the last run's sequences
};

std::vector<int64_t> Seeds(int64_t count, int64_t first) {
  std::vector<int64_t> seeds(count);
  for (int64_t i = 0; i < count; ++i) seeds[i] = first + i;
  return seeds;
}

TEST_P(ModelBatchCudaTest, WithBatchInvariantARowIsTheSameInBatchesOf1To64) {
  Open(/*batch_invariant=*/true);
  if (model_ == nullptr) return;
  std::vector<Row> alone;
  for (int64_t i = 0; i < 64; ++i) {
    Decode({i});
    alone.push_back(Result(0));
  }
  for (int64_t batch = 2; batch <= 64; ++batch) {
    Decode(Seeds(batch, 0));
    for (int64_t i = 0; i < batch; ++i) {
      ASSERT_TRUE(ResultIs(i, alone[i])) << "row " << i << " of " << batch;
    }
  }
}

TEST_P(ModelBatchCudaTest, NeighboursChangeNoBitOfARow) {
  Open(/*batch_invariant=*/false);
  if (model_ == nullptr) return;
  for (const int64_t batch : {2, 3, 4, 5, 8, 17, 32, 33, 64, 65, 128, kMaxSequences}) {
    SCOPED_TRACE(batch);
    const auto last = static_cast<size_t>(batch - 1);
    Decode(Seeds(batch, 0));
    const Row front = Result(0), back = Result(last);
    std::vector<int64_t> others = Seeds(batch, 300);
    others.front() = 0;
    others.back() = batch - 1;
    Decode(others);
    EXPECT_TRUE(ResultIs(0, front));
    EXPECT_TRUE(ResultIs(last, back));
    std::swap(others.front(), others.back());
    Decode(others);
    EXPECT_TRUE(ResultIs(0, back));
    EXPECT_TRUE(ResultIs(last, front));
  }
}

TEST_P(ModelBatchCudaTest, NeighboursChangeNoBitOfAPrompt) {
  Open(/*batch_invariant=*/false);
  if (model_ == nullptr) return;
  const std::vector<std::vector<int64_t>> lengths = {{17, 70, 1, 128, 40}, {1, 64, 1, 5, 90}};
  RunSteps(lengths, {0, 1, 2, 3, 4});
  const std::vector<Row> rows = Results();
  RunSteps(lengths, {10, 1, 12, 3, 14});
  EXPECT_TRUE(ResultIs(1, rows[1]));
  EXPECT_TRUE(ResultIs(3, rows[3]));
}

TEST_P(ModelBatchCudaTest, TwoRunsGiveTheSameBits) {
  const std::vector<std::vector<int64_t>> lengths = {
      {17, 70, 1, 128, 40}, {1, 64, 1, 5, 90}, {1, 1, 1, 1, 1}};
  std::vector<Row> fed, decoded;
  for (int run = 0; run < 3; ++run) {
    SCOPED_TRACE(run);
    if (run != 1) Open(/*batch_invariant=*/false);  // the second run keeps the model
    if (model_ == nullptr) return;
    RunSteps(lengths, {0, 1, 2, 3, 4});
    if (run == 0) fed = Results();
    ExpectResults(fed);
    Decode(Seeds(96, 0));
    if (run == 0) decoded = Results();
    ExpectResults(decoded);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ModelBatchCudaTest,
    testing::Values(
        Case{"SmallRwkv7", [] { return OpenGolden("rwkv/rand-x070/model.bf16.safetensors"); }},
        Case{"SmallHybrid",
             [] { return OpenGolden("hybrid/hxa079-qknorm/model.safetensors.index.json"); }},
        Case{"WideRwkv7", [] { return MakeWide("1.5B"); }},
        Case{"WideRwkv7WithFp16States", [] { return MakeWide("1.5B"); }, DType::kF16},
        Case{"WideHybrid", [] { return MakeWide("hybrid-8B"); }}),
    [](const testing::TestParamInfo<Case>& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace skein
