// tests/golden/adapters/mole: the whole channel mix with experts, by both rules.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "kernels/adapter/mole.h"
#include "kernels/adapter/mole_routing.h"
#include "tests/testing/golden.h"
#include "tests/testing/safetensors.h"
#include "tests/worker/adapters/adapter_fixture.h"
#include "tests/worker/adapters/unmerged.h"

namespace skein {
namespace {

constexpr int64_t kWidth = 128, kFfnWidth = 384, kRows = 12;
constexpr double kTolerance = 1e-5;

class GoldenMoleTest : public testing::Test {
 protected:
  GoldenMoleTest()
      : model_(*ModelFiles::Open(*GoldenPath("adapters/base/base.safetensors"))),
        base_(*model_),
        weights_(*GoldenPath("adapters/base/base.safetensors")),
        expected_(*GoldenPath("adapters/mole/expected.safetensors")) {}

  Adapter LoadWithRule(int rule) {
    auto adapter = LoadAdapter(*GoldenPath("adapters/mole/adapter.safetensors"),
                               {.scaling = 2.0f, .mole_rule = rule}, base_, threads_);
    EXPECT_TRUE(adapter.ok()) << adapter.status();
    return *std::move(adapter);
  }

  // Eq. 17 of docs/models/rwkv7.md.
  std::vector<float> Shifted(int layer) {
    const std::vector<float> x = expected_.Floats("x"), prev = expected_.Floats("x_prev");
    const std::vector<float> mix = weights_.Floats(absl::StrCat("blocks.", layer, ".ffn.x_k"));
    std::vector<float> h(x.size());
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t d = 0; d < kWidth; ++d) {
        const float before = row == 0 ? prev[d] : x[(row - 1) * kWidth + d];
        const float now = x[row * kWidth + d];
        h[row * kWidth + d] = now + (before - now) * mix[d];
      }
    }
    return h;
  }

  std::vector<float> Weight(int layer, absl::string_view name) {
    return weights_.Floats(absl::StrCat("blocks.", layer, ".ffn.", name, ".weight"));
  }

  // The channel mix of a layer, with two products and what stands between them.
  std::vector<float> Run(const MoleExperts& experts, int layer, const std::vector<float>& h) {
    const AdapterModule none;
    const std::vector<float> key = Weight(layer, "key"), value = Weight(layer, "value");
    const std::vector<float> base =
        UnmergedProduct(none, AsMatrix(key, kFfnWidth, kWidth), h, threads_);
    std::vector<float> mixed(base.size()), side(h.size());
    const MoleSegment segment = {&experts, 0, kRows};
    MoleArgs args;
    args.segments = {&segment, 1};
    const int64_t columns = MoleWorkspace(args.segments);
    std::vector<float> workspace(kRows * columns);
    args.x = ConstActivationView(h.data(), {kRows, kWidth});
    args.base = ConstActivationView(base.data(), {kRows, kFfnWidth});
    args.mixed = ActivationView(mixed.data(), {kRows, kFfnWidth});
    args.side = TensorView<float>(side.data(), {kRows, kWidth});
    args.workspace = TensorView<float>(workspace.data(), {kRows, columns});
    EXPECT_TRUE(args.Validate().ok()) << args.Validate();
    MoleCpu(args, threads_);
    std::vector<float> out =
        UnmergedProduct(none, AsMatrix(value, kWidth, kFfnWidth), mixed, threads_);
    for (size_t i = 0; i < out.size(); ++i) out[i] += side[i];
    return out;
  }

  std::unique_ptr<ModelFiles> model_;
  CheckpointTensors base_;
  GoldenTensors weights_, expected_;
  ParallelFor threads_{2};
};

TEST_F(GoldenMoleTest, OutputsAreThoseOfBothRules) {
  for (const int rule : {1, 2}) {
    const Adapter adapter = LoadWithRule(rule);
    for (const int layer : {0, 1}) {
      SCOPED_TRACE(absl::StrCat("rule ", rule, ", layer ", layer));
      const std::vector<float> out = Run(adapter.channel_mixes[layer].mole, layer, Shifted(layer));
      EXPECT_LE(
          LargestError(out, expected_.Floats(absl::StrCat("layer", layer, ".v", rule, ".kv"))),
          kTolerance);
    }
  }
}

TEST_F(GoldenMoleTest, TheRouterChoosesTheGoldenExperts) {
  const Adapter adapter = LoadWithRule(2);
  for (const int layer : {0, 1}) {
    const MoleExperts& experts = adapter.channel_mixes[layer].mole;
    const std::vector<float> router(
        static_cast<const float*>(experts.router.data),
        static_cast<const float*>(experts.router.data) + experts.router.rows * kWidth);
    const std::vector<float> scores = ExactProduct(router, kWidth, Shifted(layer));
    const std::vector<int32_t> index =
        expected_.Ints(absl::StrCat("layer", layer, ".v2.expert_index"));
    const std::vector<float> gate = expected_.Floats(absl::StrCat("layer", layer, ".v2.gate"));
    for (int64_t row = 0; row < kRows; ++row) {
      ExpertChoice choices[2];
      ASSERT_EQ(ChooseExperts(experts, {scores.data() + row * 3, 3}, choices), 2);
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(choices[i].expert, index[row * 2 + i]) << row;
        EXPECT_NEAR(choices[i].weight, gate[row * 2 + i], 1e-5) << row;
      }
    }
  }
}

}  // namespace
}  // namespace skein
