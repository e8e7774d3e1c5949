#include "kernels/mix_logits/mix_logits.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include <boost/json.hpp>

#include "tests/testing/golden.h"
#include "tests/testing/op_testing.h"
#include "tests/testing/safetensors.h"

namespace skein {
namespace {

namespace json = boost::json;

// Groups of these sizes over the rows of `outputs`, taken from the last one backwards.
MixLogitsArgs Make(TestTensors& t, const std::vector<int32_t>& sizes, int32_t outputs,
                   int64_t vocab) {
  std::vector<int32_t> begin = {0}, rows;
  for (const int32_t size : sizes) {
    for (int32_t k = 0; k < size; ++k) rows.push_back(--outputs);
    begin.push_back(static_cast<int32_t>(rows.size()));
  }
  MixLogitsArgs args;
  args.logits = t.Random({begin.back() + outputs, vocab}, -8, 8);
  args.group_begin = t.Ints(begin);
  args.rows = t.Ints(rows);
  args.weights = t.Random({static_cast<int64_t>(rows.size())}, -1.5f, 2);
  return args;
}

Outputs Written(const MixLogitsArgs& args) { return {args.logits}; }

TEST(MixLogitsTest, GroupsOfAllSizesAreMixedAndOtherRowsStay) {
  for (const int64_t vocab : {1, 37, 512, 6000}) {
    SCOPED_TRACE(vocab);
    const std::function<MixLogitsArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, {2, 1, 0, 8, 3, 0}, 17, vocab);
    };
    ExpectNearReference<MixLogitsArgs>(make, MixLogitsCpu, MixLogitsRef, Written, 3e-7);
    ExpectSameBitsEverywhere<MixLogitsArgs>(make, MixLogitsCpu, Written);
    SKEIN_CUDA_ONLY(
        ExpectNearReferenceOnCuda<MixLogitsArgs>(make, MixLogitsCuda, MixLogitsRef, Written, 3e-7));
    TestTensors before(1), after(1);
    const MixLogitsArgs unmixed = make(before), mixed = make(after);
    ParallelFor threads(2);
    MixLogitsCpu(mixed, threads);
    for (const int64_t row : {0, 1, 2}) {
      EXPECT_TRUE(
          SameBits(Collect({unmixed.logits.Rows(row, 1)}), Collect({mixed.logits.Rows(row, 1)})));
    }
  }
}

TEST(MixLogitsTest, OneRowOfWeightOneKeepsItsBits) {
  TestTensors before(1), after(1);
  const MixLogitsArgs unmixed = Make(before, {1, 1}, 2, 100);
  MixLogitsArgs mixed = Make(after, {1, 1}, 2, 100);
  mixed.logits[3] = unmixed.logits[3] = -0.0f;
  mixed.logits[4] = unmixed.logits[4] = -INFINITY;
  const std::vector<float> ones = {1, 1};
  mixed.weights = {ones.data(), {2}};
  ParallelFor threads(1);
  MixLogitsCpu(mixed, threads);
  EXPECT_TRUE(SameBits(Collect({mixed.logits}), Collect({unmixed.logits})));
}

TEST(MixLogitsTest, GoldenMixturesAreWithinOneMillionthOfTheirLargestLogit) {
  const std::string folder = *GoldenPath("adapters/mrss");
  const GoldenTensors golden(folder + "/mrss.safetensors");
  const json::value cases = json::parse(ReadFileOrDie(folder + "/cases.json"));
  int mixed = 0;
  for (const json::value& one : cases.at("cases").as_array()) {
    if (!one.as_object().contains("effective_weights")) continue;
    ++mixed;
    const std::string name(one.at("name").as_string());
    SCOPED_TRACE(name);
    std::vector<float> logits = golden.Floats(name + ".logits");
    const std::vector<float> expected = golden.Floats(name + ".combined");
    std::vector<float> weights;
    std::vector<int32_t> rows;
    int32_t row = 0;
    for (const json::value& weight : one.at("effective_weights").as_array()) {
      if (weight.to_number<float>() != 0) {
        weights.push_back(weight.to_number<float>());
        rows.push_back(row);
      }
      ++row;
    }
    const int64_t terms = static_cast<int64_t>(rows.size());
    const int64_t vocab = static_cast<int64_t>(expected.size());
    const std::vector<int32_t> begin = {0, static_cast<int32_t>(terms)};
    const MixLogitsArgs args = {.logits = {logits.data(), {row, vocab}},
                                .group_begin = {begin.data(), {2}},
                                .rows = {rows.data(), {terms}},
                                .weights = {weights.data(), {terms}}};
    ParallelFor threads(1);
    ASSERT_TRUE(MixLogits(args, Stream(threads)).ok());
    EXPECT_LE(WorstError(Collect({args.logits.Rows(rows[0], 1)}), expected), 1e-6);
  }
  EXPECT_EQ(mixed, 14);
}

TEST(MixLogitsTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  MixLogitsArgs bad = Make(tensors, {2}, 2, 10);
  bad.weights = tensors.Random({3});
  EXPECT_EQ(bad.Validate().message(), "mix_logits: weights: shape [3], expected [2]");
  bad = Make(tensors, {2}, 2, 10);
  bad.group_begin = {};
  EXPECT_EQ(bad.Validate().message(),
            "mix_logits: group_begin must have one dimension, and an end");
}

}  // namespace
}  // namespace skein
