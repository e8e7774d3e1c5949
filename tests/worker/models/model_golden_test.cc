// Both architectures against float64 reference output, at the tolerances that
// tests/golden/README.md gives for fp32.
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/golden.h"
#include "tests/testing/model_runner.h"
#include "tests/testing/safetensors.h"
#include "worker/models/registry.h"

namespace skein {
namespace {

ParallelFor& Threads() {
  static ParallelFor threads(2);
  return threads;
}

std::unique_ptr<Model> LoadOrFail(const std::string& path, const ModelLoadOptions& options = {}) {
  auto files = ModelFiles::Open(path);
  EXPECT_TRUE(files.ok()) << files.status();
  if (!files.ok()) return nullptr;
  auto model = LoadModel(**files, options, Stream(Threads()));
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? std::move(*model) : nullptr;
}

double MaxAbs(const std::vector<float>& values) {
  double largest = 0;
  for (const float value : values) largest = std::max<double>(largest, std::fabs(value));
  return largest;
}

double MaxDifference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - b[i]);
    if (!(difference <= largest)) largest = difference;  // NaN counts
  }
  return largest;
}

// rms of the differences over the standard deviation of what is expected.
double RelativeRms(const std::vector<float>& found, const std::vector<float>& expected) {
  double mean = 0, variance = 0, error = 0;
  for (const float value : expected) mean += value;
  mean /= static_cast<double>(expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    variance += (expected[i] - mean) * (expected[i] - mean);
    error += (static_cast<double>(found[i]) - expected[i]) *
             (static_cast<double>(found[i]) - expected[i]);
  }
  return std::sqrt(error / variance);
}

std::vector<float> Layer(const std::vector<float>& all, int64_t layers, int64_t i) {
  const int64_t size = static_cast<int64_t>(all.size()) / layers;
  return {all.begin() + i * size, all.begin() + (i + 1) * size};
}

constexpr const char* kStateFields[] = {"shift_att", "shift_ffn", "wkv"};

void SetInitialState(const GoldenTensors& golden, int64_t layers, ModelRunner& runner) {
  for (const char* field : kStateFields) {
    const std::vector<float> values = golden.Floats(std::string("init.") + field);
    for (int64_t i = 0; i < layers; ++i) {
      runner.SetState(0, field, static_cast<int>(i), Layer(values, layers, i).data());
    }
  }
}

void ExpectRwkvRun(Model& model, const std::string& path) {
  SCOPED_TRACE(path);
  const GoldenTensors golden(path);
  const int64_t layers = model.description().num_layers;
  ModelRunner runner(model, Stream(Threads()), {});
  if (golden.Has("init.wkv")) SetInitialState(golden, layers, runner);
  const std::vector<float> logits = runner.Feed(0, golden.Ints("tokens"), 0);
  ASSERT_TRUE(runner.last_status().ok()) << runner.last_status();
  EXPECT_LE(MaxDifference(logits, golden.Floats("logits")), 2e-4);
  for (const char* field : kStateFields) {
    const std::vector<float> expected = golden.Floats(std::string("state.") + field);
    for (int64_t i = 0; i < layers; ++i) {
      SCOPED_TRACE(field + std::to_string(i));
      EXPECT_LE(
          MaxDifference(runner.State(0, field, static_cast<int>(i)), Layer(expected, layers, i)),
          5e-4 * MaxAbs(expected));
    }
  }
}

int32_t ArgMax(const float* logits, int64_t vocab) {
  return static_cast<int32_t>(std::max_element(logits, logits + vocab) - logits);
}

void ExpectGreedyRun(Model& model, const std::string& path) {
  SCOPED_TRACE(path);
  const GoldenTensors golden(path);
  const int64_t vocab = model.description().vocab_size;
  const std::vector<float> margins = golden.Floats("margin");
  const std::vector<int32_t> expected = golden.Ints("generated");
  ModelRunner runner(model, Stream(Threads()), {});
  std::vector<float> logits = runner.Feed(0, golden.Ints("prompt"), 0);
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_GT(margins[i], 1e-4) << "the golden run itself is a tie";
    const int32_t token = ArgMax(logits.data() + logits.size() - vocab, vocab);
    ASSERT_EQ(token, expected[i]) << "at " << i;
    logits = runner.Feed(0, {token}, 0);
  }
  EXPECT_LE(MaxDifference(logits, golden.Floats("logits_last")), 2e-4);
}

TEST(Rwkv7GoldenTest, RandomModelGivesTheReferenceLogitsAndStatesFromEveryContainerAndType) {
  const auto folder = GoldenPath("rwkv/rand-x070");
  if (!folder) GTEST_SKIP() << "no golden data";
  int checked = 0;
  for (const char* file :
       {"model.f32.safetensors", "model.bf16.safetensors", "model.bf16.pth", "model.f16.pth"}) {
    const auto path = GoldenPath(std::string("rwkv/rand-x070/") + file);
    if (!path) continue;
    SCOPED_TRACE(file);
    const auto model = LoadOrFail(*path);
    ASSERT_NE(model, nullptr);
    EXPECT_EQ(model->description().architecture, "rwkv7");
    for (const char* run : {"seq_001", "seq_002", "seq_017", "seq_064", "seq_129", "cont_023",
                            "rand_init_033", "tuned_021", "trace_017"}) {
      const auto golden = GoldenPath(std::string("rwkv/rand-x070/") + run + ".safetensors");
      if (golden) ExpectRwkvRun(*model, *golden);
      checked += golden.has_value();
    }
    if (const auto greedy = GoldenPath("rwkv/rand-x070/greedy_024.safetensors")) {
      ExpectGreedyRun(*model, *greedy);
    }
  }
  EXPECT_GT(checked, 0);
}

TEST(Rwkv7GoldenTest, TrainedTinyModelGivesTheReferenceLogits) {
  const auto path = GoldenPath("rwkv/tiny-x070/model.f32.safetensors");
  if (!path) GTEST_SKIP() << "the tiny model is not in the repository";
  const auto model = LoadOrFail(*path);
  ASSERT_NE(model, nullptr);
  for (const char* run : {"seq_003", "seq_017", "seq_129"}) {
    ExpectRwkvRun(*model, *GoldenPath(std::string("rwkv/tiny-x070/") + run + ".safetensors"));
  }
  ExpectGreedyRun(*model, *GoldenPath("rwkv/tiny-x070/greedy_048.safetensors"));
}

// The golden states are [layer, head, key, value].
std::vector<float> KeyMajor(const std::vector<float>& state, int64_t n) {
  std::vector<float> out(state.size());
  for (size_t at = 0; at < state.size(); at += n * n) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) out[at + j * n + i] = state[at + i * n + j];
    }
  }
  return out;
}

void ExpectHybridState(const Model& model, const ModelRunner& runner,
                       const std::vector<float>& expected) {
  const auto& fields = model.state_layout().fields;
  std::vector<float> found;
  for (const StateField& field : fields) {
    const std::vector<float> layer =
        KeyMajor(runner.State(0, field.name, field.layer), field.shape.back());
    found.insert(found.end(), layer.begin(), layer.end());
  }
  EXPECT_LE(MaxDifference(found, expected), 1e-5 * MaxAbs(expected));
}

void ExpectHybridPages(const Model& model, const ModelRunner& runner,
                       const std::vector<float>& expected, int64_t tokens) {
  std::vector<float> found;
  for (int layer = 0; layer < model.kv_layout().num_layers; ++layer) {
    for (int plane = 0; plane < 2; ++plane) {
      for (int64_t t = 0; t < tokens; ++t) {
        const std::vector<float> row = runner.KeyValue(0, layer, plane, t);
        found.insert(found.end(), row.begin(), row.end());
      }
    }
  }
  EXPECT_LE(MaxDifference(found, expected), 1e-4);
}

void ExpectSameChoices(const std::vector<float>& found, const std::vector<float>& expected,
                       int64_t vocab) {
  for (int64_t at = 0; at < static_cast<int64_t>(expected.size()); at += vocab) {
    std::vector<float> row(expected.begin() + at, expected.begin() + at + vocab);
    const int32_t best = ArgMax(row.data(), vocab);
    const float top = row[best];
    row[best] = -INFINITY;
    if (top - row[ArgMax(row.data(), vocab)] <= 1e-3f) continue;
    EXPECT_EQ(ArgMax(found.data() + at, vocab), best) << "row " << at / vocab;
  }
}

void ExpectHybridRuns(Model& model, const std::string& expected_path) {
  const GoldenTensors golden(expected_path);
  for (const int64_t tokens : {1, 2, 17, 64, 129}) {
    const std::string suffix = ".T" + std::to_string(tokens);
    if (!golden.Has("tokens" + suffix)) continue;  // the repository's part has two of the lengths
    SCOPED_TRACE(suffix);
    ModelRunner runner(model, Stream(Threads()), {});
    const std::vector<float> logits = runner.Feed(0, golden.Ints("tokens" + suffix), 0);
    ASSERT_TRUE(runner.last_status().ok()) << runner.last_status();
    const std::vector<float> expected = golden.Floats("logits" + suffix);
    EXPECT_LE(MaxDifference(logits, expected), 2e-4);
    EXPECT_LE(RelativeRms(logits, expected), 1e-5);
    ExpectSameChoices(logits, expected, model.description().vocab_size);
    ExpectHybridState(model, runner, golden.Floats("wkv" + suffix));
    ExpectHybridPages(model, runner, golden.Floats("kv" + suffix), tokens);
  }
}

TEST(HybridGoldenTest, GivesTheReferenceLogitsStatesAndPages) {
  struct Case {
    const char* folder;
    const char* file;  // "" for the folder itself
    ModelLoadOptions options;
  };
  ModelLoadOptions pth;  // what the file does not hold
  pth.rope_theta = 1e7f;
  pth.rms_norm_eps = 1e-6f;
  int checked = 0;
  for (const Case& c :
       {Case{"hxa079-qknorm", "/model.safetensors.index.json", {}},
        Case{"hxa079-qknorm", "/model.pth", pth}, Case{"hxa079-bias-n96", "", {}}}) {
    const auto path = GoldenPath(std::string("hybrid/") + c.folder + c.file);
    if (!path) continue;
    const std::string folder = *c.file == '\0' ? *path : path->substr(0, path->rfind('/'));
    SCOPED_TRACE(*path);
    const auto model = LoadOrFail(*path, c.options);
    ASSERT_NE(model, nullptr);
    EXPECT_EQ(model->description().architecture, "hybrid");
    ExpectHybridRuns(*model, folder + "/expected.safetensors");
    ++checked;
  }
  if (checked == 0) GTEST_SKIP() << "no golden data";
}

}  // namespace
}  // namespace skein
