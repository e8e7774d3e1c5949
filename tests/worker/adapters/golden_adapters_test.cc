// Every case of tests/golden/adapters/linear: files in, merged weights out, and products with them
// and with the adapter beside the weight.
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/golden.h"
#include "tests/testing/safetensors.h"
#include "tests/worker/adapters/adapter_fixture.h"
#include "tests/worker/adapters/unmerged.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "worker/adapters/load_adapter.h"
#include "worker/adapters/merge.h"

namespace skein {
namespace {

constexpr double kMergedTolerance = 1e-6;
constexpr double kProductTolerance = 1e-5;

struct Case {
  const char* name;
  const char* methods;
  std::optional<float> scaling = std::nullopt;
  std::optional<float> alpha = std::nullopt;
  bool native = true;  // adapter.safetensors and .pth; else a Hugging Face folder
};
const Case kCases[] = {
    {"bone2d", "miss"},
    {"bone3d", "bone"},
    {"disha2d", "miss"},
    {"disha2d_tail", "miss"},
    {"disha3d", "bone"},
    {"dora", "dora", 2.0f},
    {"hf_dora", "dora_rows", {}, {}, false},
    {"hf_lora", "lora", {}, {}, false},
    {"hf_miss", "miss", {}, {}, false},
    {"hf_miss_bat", "bat", {}, {}, false},
    {"hf_miss_mini", "miss", {}, {}, false},
    {"hf_rslora", "lora", {}, {}, false},
    {"lora", "lora", 2.0f},
    {"lora_alpha", "lora", {}, 16.0f},
    {"lora_with_state", "lora, state"},
    {"swap", "lora, replacement"},
};

std::string LinearPath(const std::string& name) {
  return GoldenPath("adapters/linear/" + name).value_or("");
}

class GoldenAdaptersTest : public testing::Test {
 protected:
  GoldenAdaptersTest()
      : model_(*ModelFiles::Open(*GoldenPath("adapters/base/base.safetensors"))),
        base_(*model_),
        inputs_(*GoldenPath("adapters/base/inputs.safetensors")) {}

  Adapter LoadCase(const Case& c, const std::string& path) {
    auto adapter = LoadAdapter(path, {.scaling = c.scaling, .alpha = c.alpha}, base_, threads_);
    EXPECT_TRUE(adapter.ok()) << adapter.status();
    return adapter.ok() ? *std::move(adapter) : Adapter();
  }

  // With the adapter beside the weight.
  std::vector<float> Unmerged(const Adapter& adapter, absl::string_view name, const Shape& shape,
                              const std::vector<float>& x) {
    std::vector<float> weight(NumElements(shape));
    EXPECT_TRUE(ReadUnderAdapter(adapter, name, base_, 0, shape[0], weight.data()).ok());
    const AdaptedLinear* linear = adapter.FindLinear(absl::StripSuffix(name, ".weight"));
    const AdapterModule none;
    return UnmergedProduct(linear == nullptr ? none : linear->hooks,
                           AsMatrix(weight, shape[0], shape[1]), x, threads_);
  }

  void CheckExpected(const Adapter& adapter, const std::string& name) {
    const GoldenTensors expected(LinearPath(name) + "/expected.safetensors");
    int checked = 0;
    for (const auto& [key, entry] : model_->tensors()) {
      const std::string merged_key = "merged." + key, product_key = "y." + key;
      if (!expected.Has(merged_key) && !expected.Has(product_key)) continue;
      SCOPED_TRACE(key);
      ++checked;
      const auto merged = MergedTensor(adapter, key, base_, threads_);
      ASSERT_TRUE(merged.ok()) << merged.status();
      if (expected.Has(merged_key)) {
        EXPECT_LE(LargestError(*merged, expected.Floats(merged_key)), kMergedTolerance);
      }
      if (expected.Has(product_key)) {
        const std::vector<float> x = inputs_.Floats(absl::StrCat("x.", entry.shape[1]));
        const std::vector<float> y = expected.Floats(product_key);
        EXPECT_LE(LargestError(ExactProduct(*merged, entry.shape[1], x), y), kProductTolerance);
        if (adapter.unmerged()) {
          EXPECT_LE(LargestError(Unmerged(adapter, key, entry.shape, x), y), kProductTolerance);
        }
      }
    }
    EXPECT_GT(checked, 0);
  }

  std::unique_ptr<ModelFiles> model_;
  CheckpointTensors base_;
  GoldenTensors inputs_;
  ParallelFor threads_{2};
};

TEST_F(GoldenAdaptersTest, EveryCaseMergesToItsWeights) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const Adapter adapter =
        LoadCase(c, LinearPath(c.name) + (c.native ? "/adapter.safetensors" : ""));
    EXPECT_EQ(adapter.Methods(), c.methods);
    EXPECT_TRUE(adapter.warnings.empty());
    CheckExpected(adapter, c.name);
  }
}

TEST_F(GoldenAdaptersTest, PthAndSafetensorsAreTheSameAdapter) {
  int pairs = 0;
  for (const Case& c : kCases) {
    const std::string pth = LinearPath(c.name) + "/adapter.pth";
    if (!c.native || !GoldenPath(absl::StrCat("adapters/linear/", c.name, "/adapter.pth"))) {
      continue;
    }
    SCOPED_TRACE(c.name);
    ++pairs;
    const Adapter adapter = LoadCase(c, pth);
    CheckExpected(adapter, c.name);
    EXPECT_EQ(adapter.content_hash,
              LoadCase(c, LinearPath(c.name) + "/adapter.safetensors").content_hash);
  }
  EXPECT_EQ(pairs, 7);
}

TEST_F(GoldenAdaptersTest, EveryCaseHasAnIdentityOfItsOwn) {
  std::set<std::string> hashes;
  for (const Case& c : kCases) {
    hashes.insert(
        LoadCase(c, LinearPath(c.name) + (c.native ? "/adapter.safetensors" : "")).content_hash);
  }
  EXPECT_EQ(hashes.size(), std::size(kCases));
  EXPECT_THAT(*hashes.begin(), testing::MatchesRegex("[0-9a-f]{16}"));
}

TEST_F(GoldenAdaptersTest, PissaTakesItsInitialFactorsFromTheSameFolder) {
  for (const std::string extension : {".pth", ".safetensors"}) {
    SCOPED_TRACE(extension);
    const std::string folder = LinearPath("pissa");
    TempFolder temp;
    temp.Write("adapter" + extension, ReadFileOrDie(folder + "/adapter" + extension));
    temp.Write("init_pissa" + extension, ReadFileOrDie(folder + "/init_pissa" + extension));
    const Adapter adapter = LoadCase({"pissa", ""}, temp.path());
    EXPECT_EQ(adapter.Methods(), "pissa");
    ASSERT_EQ(adapter.linears.size(), 3u);
    EXPECT_EQ(adapter.linears[0].hooks.rank, 16);
    CheckExpected(adapter, "pissa");
  }
}

TEST_F(GoldenAdaptersTest, ColumnFactorsOfDoraAreTheGoldenOnes) {
  const Adapter adapter = LoadCase({"dora", "", 2.0f}, LinearPath("dora") + "/adapter.safetensors");
  const GoldenTensors expected(LinearPath("dora") + "/expected.safetensors");
  ASSERT_EQ(adapter.linears.size(), 12u);
  for (const AdaptedLinear& linear : adapter.linears) {
    const TensorView<const float>& c = linear.hooks.input_scale;
    EXPECT_LE(LargestError({c.data(), c.data() + c.size()},
                           expected.Floats("c." + linear.module + ".weight")),
              1e-6);
  }
}

TEST_F(GoldenAdaptersTest, TheStateInAnAdapterIsKept) {
  const Adapter adapter = LoadCase({"", ""}, LinearPath("lora_with_state") + "/adapter.pth");
  ASSERT_EQ(adapter.state.size(), 2u);
  EXPECT_EQ(adapter.state[1].name, "blocks.1.att.time_state");
  EXPECT_EQ(adapter.state[1].entry.shape, (Shape{2, 64, 64}));
  const GoldenTensors file(LinearPath("lora_with_state") + "/adapter.safetensors");
  std::vector<float> values(2 * 64 * 64);
  ASSERT_TRUE(ModelFiles::CopyFloat(adapter.state[1].entry, values.data()).ok());
  EXPECT_EQ(values, file.Floats("blocks.1.att.time_state"));
}

TEST_F(GoldenAdaptersTest, MixturesOfExpertsAreRead) {
  for (const std::string extension : {".pth", ".safetensors"}) {
    const Adapter adapter = LoadCase({"", ""}, *GoldenPath("adapters/mole/adapter" + extension));
    EXPECT_EQ(adapter.Methods(), "mole");
    ASSERT_EQ(adapter.channel_mixes.size(), 2u);
    const MoleExperts& mole = adapter.channel_mixes[1].mole;
    EXPECT_TRUE(mole.Validate().ok()) << mole.Validate();
    EXPECT_EQ(mole.experts.size(), 4u);
    EXPECT_EQ(mole.active, 2);
    EXPECT_EQ(mole.rule, 2);
    EXPECT_EQ(mole.experts[3].value.rank, 8);
  }
}

TEST_F(GoldenAdaptersTest, AFolderWithTwoAdaptersIsAmbiguous) {
  const auto adapter = LoadAdapter(LinearPath("lora"), {}, base_, threads_);
  EXPECT_EQ(adapter.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(adapter.status().message()),
              testing::AllOf(testing::StartsWith("lora: a folder must hold"),
                             testing::HasSubstr("found adapter.pth, adapter.safetensors")));
}

}  // namespace
}  // namespace skein
