// What a tuned state holds: golden files in every variant, and the recurrence that starts from
// them.
#include "worker/registry/tuned_state.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "kernels/device/parallel_for.h"
#include "kernels/wkv7/wkv7.h"
#include "tests/testing/golden.h"
#include "tests/testing/safetensors.h"
#include "tests/worker/registry/state_layouts.h"

namespace skein {
namespace {

constexpr auto kAutomatic = TunedStateLayout::kAutomatic;
constexpr auto kValueKey = TunedStateLayout::kValueKey;
constexpr auto kKeyValue = TunedStateLayout::kKeyValue;
// That of golden/adapters/state.
const TestStateShape kShape;

absl::StatusOr<TunedState> Load(const std::string& path, TunedStateLayout layout = kAutomatic,
                                const TestStateShape& shape = kShape) {
  return LoadTunedState(path, layout, TestDescription(shape), TestStateLayout(shape), Stream());
}

std::vector<float> WkvOf(const TunedState& state, int layer) {
  return FieldValues(*state.state, TestStateLayout(kShape), "wkv", layer);
}

TEST(TunedStateTest, IsTheSameFromEveryKindOfFile) {
  struct Case {
    const char* file;
    TunedStateLayout given, used;
  };
  const auto plain = GoldenPath("adapters/state/x070_state_fp32.pth");
  if (!plain) GTEST_SKIP() << "no golden data";
  const auto expected = Load(*plain);
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (const Case& c : {Case{"x070_state.pth", kAutomatic, kValueKey},
                        Case{"x070_state.safetensors", kValueKey, kValueKey},
                        Case{"x070_state_views.pth", kAutomatic, kValueKey},
                        Case{"x070_state_strided.pth", kAutomatic, kValueKey},
                        Case{"x070_webrwkv.state.safetensors", kKeyValue, kKeyValue}}) {
    SCOPED_TRACE(c.file);
    const auto path = GoldenPath(absl::StrCat("adapters/state/", c.file));
    ASSERT_TRUE(path.has_value());
    const auto state = Load(*path, c.given);
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ(state->layout, c.used);
    EXPECT_EQ(state->bytes, TestStateLayout(kShape).bytes);
    EXPECT_TRUE(state->warnings.empty());
    EXPECT_EQ(std::memcmp(state->state->record->data(), expected->state->record->data(),
                          static_cast<size_t>(state->bytes)),
              0);
    EXPECT_EQ(state->state->content_hash, expected->state->content_hash);
    EXPECT_EQ(state->state->content_hash.size(), 16u);
  }
}

TEST(TunedStateTest, HoldsTheValuesOfTheFileAndNoShifts) {
  const auto path = GoldenPath("adapters/state/x070_state.safetensors");
  if (!path) GTEST_SKIP() << "no golden data";
  const GoldenTensors golden(*path);
  const auto state = Load(*path);
  ASSERT_TRUE(state.ok()) << state.status();
  for (int layer = 0; layer < kShape.layers; ++layer) {
    EXPECT_EQ(WkvOf(*state, layer),
              golden.Floats(absl::StrCat("blocks.", layer, ".att.time_state")));
    for (const char* shift : {"shift_att", "shift_ffn"}) {
      EXPECT_EQ(FieldValues(*state->state, TestStateLayout(kShape), shift, layer),
                std::vector<float>(128, 0.0f));
    }
  }
}

TEST(TunedStateTest, TokenShiftsComeFromTheFileAndCountAsContent) {
  const auto path = GoldenPath("adapters/state/x070_full_state.safetensors");
  const auto without = GoldenPath("adapters/state/x070_state.safetensors");
  if (!path || !without) GTEST_SKIP() << "no golden data";
  const GoldenTensors golden(*path);
  const auto state = Load(*path);
  const auto plain = Load(*without);
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_TRUE(plain.ok()) << plain.status();
  for (int layer = 0; layer < kShape.layers; ++layer) {
    for (const char* part : {"att", "ffn"}) {
      EXPECT_EQ(
          FieldValues(*state->state, TestStateLayout(kShape), absl::StrCat("shift_", part), layer),
          golden.Floats(absl::StrCat("blocks.", layer, ".", part, ".ts_state")));
    }
    EXPECT_EQ(WkvOf(*state, layer),
              golden.Floats(absl::StrCat("blocks.", layer, ".att.time_state")));
  }
  EXPECT_NE(state->state->content_hash, plain->state->content_hash);
}

TEST(TunedStateTest, OffsetsScaleTheWkvOutput) {
  const auto path = GoldenPath("adapters/state/x070_state_offset.safetensors");
  const auto run = GoldenPath("adapters/state/wkv7_case.safetensors");
  if (!path || !run) GTEST_SKIP() << "no golden data";
  const auto state = Load(*path);
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_NE(state->state->factors, nullptr);
  const GoldenTensors golden(*run);
  for (int layer = 0; layer < kShape.layers; ++layer) {
    const std::vector<float>& factors = state->state->factors->layers[layer];
    const std::vector<float> y = golden.Floats(absl::StrCat("layer", layer, ".y"));
    const std::vector<float> expected = golden.Floats(absl::StrCat("layer", layer, ".y_offset"));
    ASSERT_EQ(y.size(), expected.size());
    for (size_t i = 0; i < y.size(); ++i) {
      EXPECT_NEAR(y[i] * factors[i % factors.size()], expected[i], 1e-5f) << i;
    }
  }
}

struct Recurrence {
  std::vector<float> y, state;
};

// Runs the golden inputs of a layer from `wkv` [H, N, N].
Recurrence RunFrom(const GoldenTensors& golden, int layer, const std::vector<float>& wkv) {
  const auto input = [&](const char* name) {
    return golden.Floats(absl::StrCat("layer", layer, ".", name));
  };
  const Shape shape = golden.ShapeOf(absl::StrCat("layer", layer, ".r"));
  std::vector<float> r = input("r"), w = input("w"), k = input("k"), v = input("v"), q = input("a"),
                     b = input("b");
  for (float& value : q) value = -value;  // the file's a is the removal key, negated
  Recurrence out{std::vector<float>(r.size()), wkv};
  const std::vector<int32_t> row_begin = {0, static_cast<int32_t>(shape[0])};
  const int32_t slot = 0;
  const std::vector<int32_t> positions(static_cast<size_t>(shape[0]));
  Wkv7Args args;
  args.r = {r.data(), shape};
  args.w = {w.data(), shape};
  args.k = {k.data(), shape};
  args.v = {v.data(), shape};
  args.q = {q.data(), shape};
  args.b = {b.data(), shape};
  args.positions = {positions.data(), {shape[0]}};
  args.sequences = {{row_begin.data(), {2}}, {&slot, {1}}, shape[0], shape[0]};
  args.state = {out.state.data(), static_cast<int64_t>(wkv.size() * sizeof(float)), DType::kF32};
  args.y = {out.y.data(), shape};
  ParallelFor threads(1);
  const absl::Status status = Wkv7(args, Stream(threads));
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

// Over the largest expected value.
double Difference(const std::vector<float>& found, const std::vector<float>& expected) {
  EXPECT_EQ(found.size(), expected.size());
  double largest = 0, scale = 0;
  for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(found[i]) - expected[i]));
    scale = std::max(scale, std::fabs(static_cast<double>(expected[i])));
  }
  return largest / scale;
}

TEST(TunedStateTest, RecurrenceFromItGivesTheReferenceAndTheOtherLayoutDoesNot) {
  const auto file = GoldenPath("adapters/state/x070_state.pth");
  const auto path = GoldenPath("adapters/state/wkv7_case.safetensors");
  if (!file || !path) GTEST_SKIP() << "no golden data";
  const GoldenTensors golden(*path);
  const auto state = Load(*file);
  const auto turned = Load(*file, kKeyValue);
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_TRUE(turned.ok()) << turned.status();
  EXPECT_NE(state->state->content_hash, turned->state->content_hash);
  for (int layer = 0; layer < kShape.layers; ++layer) {
    SCOPED_TRACE(layer);
    const auto expected = [&](const char* name) {
      return golden.Floats(absl::StrCat("layer", layer, ".", name));
    };
    const Recurrence right = RunFrom(golden, layer, WkvOf(*state, layer));
    EXPECT_LE(Difference(right.y, expected("y")), 1e-5);
    EXPECT_LE(Difference(right.state, expected("final_state")), 1e-5);
    const Recurrence wrong = RunFrom(golden, layer, WkvOf(*turned, layer));
    EXPECT_LE(Difference(wrong.y, expected("y_wrong_orientation")), 1e-5);
    EXPECT_GT(Difference(wrong.y, expected("y")), 0.1);
  }
}

TEST(TunedStateTest, IsRoundedWhereTheModelKeepsItsStatesInHalfPrecision) {
  const auto path = GoldenPath("adapters/state/x070_state.pth");
  if (!path) GTEST_SKIP() << "no golden data";
  TestStateShape half = kShape;
  half.dtype = DType::kF16;
  const auto state = Load(*path);
  const auto rounded = Load(*path, kAutomatic, half);
  ASSERT_TRUE(rounded.ok()) << rounded.status();
  EXPECT_EQ(rounded->bytes, TestStateLayout(half).bytes);
  EXPECT_LT(rounded->bytes, state->bytes);
  EXPECT_EQ(rounded->state->content_hash, state->state->content_hash) << "the file's values count";
  const std::vector<float> exact = WkvOf(*state, 1);
  const std::vector<float> found = FieldValues(*rounded->state, TestStateLayout(half), "wkv", 1);
  for (size_t i = 0; i < exact.size(); ++i) {
    ASSERT_EQ(found[i], Fp16ToFloat(FloatToFp16(exact[i]))) << i;
  }
}

}  // namespace
}  // namespace skein
