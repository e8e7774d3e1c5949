#include "kernels/sample/penalty_table.h"

#include <cmath>
#include <map>

#include <gtest/gtest.h>

namespace skein {
namespace {

std::map<int32_t, PenaltyEntry> Entries(const PenaltyTable& table) {
  std::vector<PenaltyEntry> list;
  table.AppendTo(list);
  std::map<int32_t, PenaltyEntry> entries;
  for (const PenaltyEntry& entry : list) entries[entry.token] = entry;
  return entries;
}

TEST(PenaltyTableTest, StaysEmptyWithoutPenalties) {
  PenaltyTable table(SamplingParams{}, std::vector<int32_t>{1, 2});
  table.Add(3);
  EXPECT_EQ(table.size(), 0u);
}

TEST(PenaltyTableTest, CountsDecayWithEveryDrawnToken) {
  SamplingParams params;
  params.frequency_penalty = 1;
  params.penalty_decay = 0.5f;
  PenaltyTable table(params, {});
  for (const int32_t token : {5, 6, 5}) table.Add(token);
  const auto entries = Entries(table);
  EXPECT_FLOAT_EQ(entries.at(5).count, 1.25f);
  EXPECT_FLOAT_EQ(entries.at(6).count, 0.5f);
}

TEST(PenaltyTableTest, PromptCountsOnlyWithAWeightAndRepeatsOnlyInScope) {
  struct Case {
    const char* name;
    float weight;
    bool output_only;
    bool present, counted, repeated;
  };
  for (const Case& c : {Case{"neither", 0, true, false, false, false},
                        Case{"weight", 0.5f, true, true, true, false},
                        Case{"scope all", 0, false, true, false, true},
                        Case{"both", 0.5f, false, true, true, true}}) {
    SCOPED_TRACE(c.name);
    SamplingParams params;
    params.presence_penalty = 1;
    params.repetition_penalty = 1.2f;
    params.prompt_penalty_weight = c.weight;
    params.repetition_output_only = c.output_only;
    const auto entries = Entries(PenaltyTable(params, std::vector<int32_t>{7, 7}));
    ASSERT_EQ(entries.contains(7), c.present);
    if (!c.present) continue;
    EXPECT_EQ(entries.at(7).counted, c.counted);
    EXPECT_EQ(entries.at(7).repeated, c.repeated);
    EXPECT_FLOAT_EQ(entries.at(7).count, 2 * c.weight);
  }
}

TEST(PenaltyTableTest, ExemptTokensLetOthersDecayButAreNeverCounted) {
  SamplingParams params;
  params.frequency_penalty = 1;
  params.penalty_decay = 0.5f;
  params.penalty_exempt_tokens = {9};
  PenaltyTable table(params, {});
  for (const int32_t token : {5, 9, 9}) table.Add(token);
  const auto entries = Entries(table);
  EXPECT_FALSE(entries.contains(9));
  EXPECT_FLOAT_EQ(entries.at(5).count, 0.25f);
}

TEST(PenaltyTableTest, RunningScaleSurvivesLongOutputs) {
  SamplingParams params;
  params.frequency_penalty = 1;
  params.penalty_decay = 0.5f;
  PenaltyTable table(params, {});
  for (int i = 0; i < 5000; ++i) table.Add(i % 2);
  const auto entries = Entries(table);
  EXPECT_NEAR(entries.at(1).count, 4.0 / 3, 1e-6);  // 1 + 1/4 + 1/16 ...
  EXPECT_NEAR(entries.at(0).count, 2.0 / 3, 1e-6);
}

TEST(PenaltyTableTest, ACopyGoesItsOwnWay) {
  SamplingParams params;
  params.presence_penalty = 1;
  PenaltyTable table(params, {});
  table.Add(1);
  PenaltyTable fork = table;
  fork.Add(2);
  EXPECT_EQ(Entries(table).size(), 1u);
  EXPECT_EQ(Entries(fork).size(), 2u);
}

}  // namespace
}  // namespace skein
