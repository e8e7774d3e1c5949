// Applied beside the weight or merged into it, an adapter does the same.
#include "tests/worker/adapters/unmerged.h"

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/worker/adapters/adapter_fixture.h"
#include "worker/adapters/merge.h"

namespace skein {
namespace {

constexpr double kTolerance = 1e-5;
const std::string kModule = "blocks.0.att.key";

struct Shapes {
  int64_t outputs, inputs, rank;
};

// Multiples of a rank, for the methods that need it, or anything.
Shapes RandomShapes(std::mt19937& random, bool multiples) {
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  const int64_t rank = pick(1, 40);
  if (multiples) return {rank * pick(1, 8), rank * pick(1, 8), rank};
  return {pick(1, 200), pick(rank, 200), rank};
}

struct Method {
  const char* name;
  AdapterMethod method;
  bool multiples;
  void (*add)(FakeFile& file, const Shapes& s);
};

void AddLora(FakeFile& file, const Shapes& s) {
  file.AddLora(kModule, s.outputs, s.inputs, s.rank);
}

const Method kMethods[] = {
    {"LoRA", AdapterMethod::kLora, false, AddLora},
    {"PiSSA", AdapterMethod::kPissa, false,
     [](FakeFile& file, const Shapes& s) {
       AddLora(file, s);
       file.Add(kModule + ".init_lora_A", {s.rank + 1, s.inputs});
       file.Add(kModule + ".init_lora_B", {s.outputs, s.rank + 1});
     }},
    {"DoRA of columns", AdapterMethod::kDora, false,
     [](FakeFile& file, const Shapes& s) {
       AddLora(file, s);
       file.Add(kModule + ".lora_M", {1, s.inputs});
     }},
    {"DoRA of rows", AdapterMethod::kDoraRows, false,
     [](FakeFile& file, const Shapes& s) {
       AddLora(file, s);
       file.Add(kModule + ".lora_magnitude_vector", {s.outputs});
     }},
    {"Bone", AdapterMethod::kBone, true,
     [](FakeFile& file, const Shapes& s) {
       file.Add(kModule + ".bone", {s.inputs / s.rank, s.rank, s.rank});
     }},
    {"MiSS", AdapterMethod::kMiss, false,
     [](FakeFile& file, const Shapes& s) {
       file.Add(kModule + ".disha", {s.rank, s.outputs});
     }},
    {"LoRA on a replaced weight", AdapterMethod::kLora, false,
     [](FakeFile& file, const Shapes& s) {
       AddLora(file, s);
       file.Add(kModule + ".weight", {s.outputs, s.inputs});
     }},
    {"DoRA on a replaced weight", AdapterMethod::kDora, false,
     [](FakeFile& file, const Shapes& s) {
       AddLora(file, s);
       file.Add(kModule + ".lora_M", {1, s.inputs});
       file.Add(kModule + ".weight", {s.outputs, s.inputs});
     }},
};

std::vector<float> RandomRows(std::mt19937& random, int64_t rows, int64_t inputs) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> x(rows * inputs);
  for (float& value : x) value = uniform(random);
  return x;
}

// Both forms of one adapter, whose only layer is kModule.
void ExpectSame(const Adapter& adapter, const BaseTensors& base, const Shapes& s,
                std::mt19937& random) {
  ParallelFor threads(2);
  const std::string name = kModule + ".weight";
  const auto merged = MergedTensor(adapter, name, base, threads);
  ASSERT_TRUE(merged.ok()) << merged.status();
  std::vector<float> weight(s.outputs * s.inputs);
  ASSERT_TRUE(ReadUnderAdapter(adapter, name, base, 0, s.outputs, weight.data()).ok());
  const std::vector<float> x = RandomRows(random, 3, s.inputs);
  const std::vector<float> y =
      UnmergedProduct(adapter.linears[0].hooks, AsMatrix(weight, s.outputs, s.inputs), x, threads);
  EXPECT_LE(LargestError(y, ExactProduct(*merged, s.inputs, x)), kTolerance);
}

TEST(UnmergedTest, EqualsMergedForRandomShapes) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    for (const Method& method : kMethods) {
      std::mt19937 random(seed);
      const Shapes s = RandomShapes(random, method.multiples);
      SCOPED_TRACE(absl::StrCat(method.name, ", [", s.outputs, ", ", s.inputs, "], rank ", s.rank));
      FakeBase base(4, 8);
      base.Add(kModule + ".weight", {s.outputs, s.inputs});
      FakeFile file(seed);
      method.add(file, s);
      const auto adapter = Load(file, base);
      ASSERT_TRUE(adapter.ok()) << adapter.status();
      ASSERT_EQ(adapter->linears[0].method, method.method);
      ExpectSame(*adapter, base, s, random);
    }
  }
}

TEST(UnmergedTest, EqualsMergedForColumnsThatRepeat) {
  PeftConfig peft;
  peft.blocks = PeftConfig::Blocks::kMini;
  for (const int64_t tile : {1, 7, 96, 100, 210}) {
    SCOPED_TRACE(tile);
    const Shapes s = {tile * 4, 50, 9};
    FakeBase base(4, 8);
    base.Add(kModule + ".weight", {s.outputs, s.inputs});
    const auto adapter = Load(FakeFile().Add(kModule + ".miss_block", {9, tile}), base, {}, peft);
    ASSERT_TRUE(adapter.ok()) << adapter.status();
    std::mt19937 random(1);
    ExpectSame(*adapter, base, s, random);
  }
}

// The two DoRAs and what an adapter adds are the formulas of docs/adapters.md, not just consistent.
TEST(UnmergedTest, MagnitudesOfTheUnchangedWeightChangeNothing) {
  FakeBase base(24, 48);
  for (const bool columns : {true, false}) {
    std::vector<float> weight(24 * 24), norms(24), zeros(4 * 24);
    ASSERT_TRUE(base.Read(kModule + ".weight", 0, 24, weight.data()).ok());
    for (int64_t i = 0; i < 24; ++i) {
      double squares = 0;
      for (int64_t j = 0; j < 24; ++j) {
        const float w = columns ? weight[j * 24 + i] : weight[i * 24 + j];
        squares += static_cast<double>(w) * w;
      }
      norms[i] = static_cast<float>(std::sqrt(squares));
    }
    FakeFile file;
    file.AddValues(kModule + ".lora_A", {4, 24}, zeros);
    file.AddValues(kModule + ".lora_B", {24, 4}, zeros);
    file.AddValues(kModule + (columns ? ".lora_M" : ".lora_magnitude_vector"), {24}, norms);
    const auto adapter = Load(file, base);
    ASSERT_TRUE(adapter.ok()) << adapter.status();
    ParallelFor threads(1);
    const auto merged = MergedTensor(*adapter, kModule + ".weight", base, threads);
    ASSERT_TRUE(merged.ok());
    EXPECT_LE(LargestError(*merged, weight), 1e-5);
  }
}

}  // namespace
}  // namespace skein
