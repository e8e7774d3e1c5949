// Both architectures on a GPU against float64 reference output, at the tolerances that
// tests/golden/README.md gives for 16-bit weights and activations.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/device/device.h"
#include "tests/testing/golden.h"
#include "tests/testing/model_runner.h"
#include "tests/testing/safetensors.h"
#include "worker/models/registry.h"

namespace skein {
namespace {

// What a type may differ by.
struct Tolerance {
  double rms, quantile, mean_kl;
};
constexpr Tolerance kFp16 = {1e-2, 6e-2, 3e-5};
constexpr Tolerance kBf16 = {7e-2, 4e-1, 1.5e-3};

class ModelOnCudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto device = CreateCudaDevice({});
    if (device.ok()) {
      device_ = *std::move(device);
    } else if (std::getenv("SKEIN_REQUIRE_GPU") != nullptr) {
      FAIL() << device.status();
    } else {
      GTEST_SKIP() << device.status();
    }
  }

  std::unique_ptr<Model> Load(const std::string& path, DType state_dtype = DType::kF32) {
    auto files = ModelFiles::Open(path);
    EXPECT_TRUE(files.ok()) << files.status();
    if (!files.ok()) return nullptr;
    ModelLoadOptions options;
    options.state_dtype = state_dtype;
    auto model = LoadModel(**files, options, device_->stream());
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? std::move(*model) : nullptr;
  }

  std::unique_ptr<Device> device_;
};

// KL divergence of the found from the expected next-token distribution.
double Divergence(const float* found, const float* expected, int64_t vocab) {
  const auto log_sum = [&](const float* logits) {
    const double top = *std::max_element(logits, logits + vocab);
    double sum = 0;
    for (int64_t i = 0; i < vocab; ++i) sum += std::exp(logits[i] - top);
    return top + std::log(sum);
  };
  const double found_sum = log_sum(found), expected_sum = log_sum(expected);
  double divergence = 0;
  for (int64_t i = 0; i < vocab; ++i) {
    const double expected_log = expected[i] - expected_sum;
    divergence += std::exp(expected_log) * (expected_log - (found[i] - found_sum));
  }
  return divergence;
}

void ExpectClose(const std::vector<float>& found, const std::vector<float>& expected, int64_t vocab,
                 const Tolerance& tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  std::vector<double> errors(found.size());
  double squares = 0, divergence = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_TRUE(std::isfinite(found[i])) << "logit " << i;
    errors[i] = std::fabs(static_cast<double>(found[i]) - expected[i]);
    squares += errors[i] * errors[i];
  }
  const int64_t rows = static_cast<int64_t>(found.size()) / vocab;
  for (int64_t row = 0; row < rows; ++row) {
    divergence += Divergence(found.data() + row * vocab, expected.data() + row * vocab, vocab);
  }
  std::sort(errors.begin(), errors.end());
  EXPECT_LE(std::sqrt(squares / static_cast<double>(found.size())), tolerance.rms);
  EXPECT_LE(errors[errors.size() - 1 - errors.size() / 1000], tolerance.quantile);
  EXPECT_LE(divergence / static_cast<double>(rows), tolerance.mean_kl);
}

// The golden run in chunks of these sizes: 0 is the whole prompt, 1 token by token.
void ExpectRun(Model& model, const Stream& stream, const std::string& path,
               const Tolerance& tolerance) {
  const GoldenTensors golden(path);
  const int64_t layers = model.description().num_layers;
  for (const int64_t chunk : {0, 1, 16, 50}) {
    SCOPED_TRACE("chunk " + std::to_string(chunk));
    ModelRunner runner(model, stream, {});
    for (const char* field : {"shift_att", "shift_ffn", "wkv"}) {
      if (!golden.Has(std::string("init.") + field)) continue;
      const std::vector<float> all = golden.Floats(std::string("init.") + field);
      for (int64_t i = 0; i < layers; ++i) {
        const float* layer = all.data() + i * static_cast<int64_t>(all.size()) / layers;
        runner.SetState(0, field, static_cast<int>(i), layer);
      }
    }
    const std::vector<float> logits = runner.Feed(0, golden.Ints("tokens"), chunk);
    ASSERT_TRUE(runner.last_status().ok()) << runner.last_status();
    ExpectClose(logits, golden.Floats("logits"), model.description().vocab_size, tolerance);
  }
}

TEST_F(ModelOnCudaTest, Rwkv7GivesTheReferenceLogitsInEveryType) {
  struct Case {
    const char* file;
    Tolerance tolerance;
    DType state;
  };
  int checked = 0;
  for (const Case& c :
       {Case{"model.f16.pth", kFp16, DType::kF32}, Case{"model.f16.pth", kFp16, DType::kF16},
        Case{"model.bf16.safetensors", kBf16, DType::kF32},
        Case{"model.f32.safetensors", kFp16, DType::kF32}}) {
    const auto path = GoldenPath(std::string("rwkv/rand-x070/") + c.file);
    if (!path) continue;
    const auto model = Load(*path, c.state);
    ASSERT_NE(model, nullptr);
    for (const char* run :
         {"seq_001", "seq_017", "seq_064", "seq_129", "cont_023", "rand_init_033", "tuned_021"}) {
      const auto golden = GoldenPath(std::string("rwkv/rand-x070/") + run + ".safetensors");
      if (!golden) continue;
      SCOPED_TRACE(std::string(c.file) + " " + run + " state " + std::string(DTypeName(c.state)));
      ExpectRun(*model, device_->stream(), *golden, c.tolerance);
      ++checked;
    }
  }
  EXPECT_GT(checked, 0);
}

double RelativeRms(const std::vector<float>& found, const std::vector<float>& expected) {
  double mean = 0, variance = 0, error = 0;
  for (const float value : expected) mean += value / static_cast<double>(expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    variance += (expected[i] - mean) * (expected[i] - mean);
    error += (static_cast<double>(found[i]) - expected[i]) *
             (static_cast<double>(found[i]) - expected[i]);
  }
  return std::sqrt(error / variance);
}

TEST_F(ModelOnCudaTest, HybridsGiveTheReferenceLogitsInBf16) {
  int checked = 0;
  for (const char* folder : {"hxa079-qknorm", "hxa079-bias-n96"}) {
    const auto path = GoldenPath(std::string("hybrid/") + folder);
    const auto expected_path =
        GoldenPath(std::string("hybrid/") + folder + "/expected.safetensors");
    if (!path || !expected_path) continue;
    const auto model = Load(*path);
    ASSERT_NE(model, nullptr);
    const GoldenTensors golden(*expected_path);
    for (const int64_t tokens : {1, 2, 17, 64, 129}) {
      const std::string suffix = ".T" + std::to_string(tokens);
      if (!golden.Has("tokens" + suffix)) continue;
      for (const int64_t chunk : {0, 1, 50}) {
        SCOPED_TRACE(folder + suffix + " chunk " + std::to_string(chunk));
        ModelRunner runner(*model, device_->stream(), {});
        const std::vector<float> logits = runner.Feed(0, golden.Ints("tokens" + suffix), chunk);
        ASSERT_TRUE(runner.last_status().ok()) << runner.last_status();
        EXPECT_LE(RelativeRms(logits, golden.Floats("logits" + suffix)), 0.05);
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace skein
