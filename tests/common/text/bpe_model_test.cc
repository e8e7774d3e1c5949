#include "common/text/bpe_model.h"

#include <map>
#include <random>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::ElementsAre;

// Tokens a, b, c at ids 0, 1, 2, then those of the merges.
BpeModel::Spec Letters(const std::vector<std::pair<int, int>>& merges) {
  BpeModel::Spec spec;
  spec.tokens = {"a", "b", "c"};
  for (const auto& [left, right] : merges) {
    spec.merges.push_back({left, right, static_cast<int32_t>(spec.tokens.size())});
    spec.tokens.push_back(spec.tokens[left] + spec.tokens[right]);
  }
  return spec;
}

std::vector<int32_t> Encode(const BpeModel& model, const std::string& piece) {
  std::vector<int32_t> ids;
  model.Encode(piece, &ids);
  return ids;
}

// The definition, one merge at a time.
std::vector<int32_t> Reference(const BpeModel::Spec& spec, const std::string& piece) {
  std::map<std::pair<int32_t, int32_t>, size_t> ranks;
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    ranks[{spec.merges[rank].left, spec.merges[rank].right}] = rank;
  }
  std::vector<int32_t> ids;
  for (const char c : piece) ids.push_back(c - 'a');
  while (true) {
    size_t best = ids.size();
    size_t best_rank = spec.merges.size();
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = ranks.find({ids[i], ids[i + 1]});
      if (found == ranks.end() || found->second >= best_rank) continue;
      best = i;
      best_rank = found->second;
    }
    if (best == ids.size()) return ids;
    ids[best] = spec.merges[best_rank].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeModelTest, LowestRankThenLeftmost) {
  const BpeModel model(Letters({{0, 0}, {0, 1}, {3, 4}}));  // aa=3 ab=4 aaab=5
  EXPECT_THAT(Encode(model, "aaa"), ElementsAre(3, 0));
  EXPECT_THAT(Encode(model, "aab"), ElementsAre(3, 1));
  EXPECT_THAT(Encode(model, "caab"), ElementsAre(2, 3, 1));
  EXPECT_TRUE(Encode(model, "").empty());
}

TEST(BpeModelTest, ATokenThatItsOwnMergesDoNotReachIsNotTakenWhole) {
  BpeModel::Spec spec =
      Letters({{0, 0}, {0, 1}, {0, 4}});  // aa=3 ab=4 aab=5: "aab" merges to aa, b
  EXPECT_THAT(Encode(BpeModel(spec), "aab"), ElementsAre(3, 1));
  spec.ignore_merges = true;
  EXPECT_THAT(Encode(BpeModel(spec), "aab"), ElementsAre(5));
}

TEST(BpeModelTest, AgreesWithTheDefinitionForShortAndLongPieces) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    BpeModel::Spec spec = Letters({});
    std::set<std::pair<int32_t, int32_t>> seen;
    std::set<std::string> spelled(spec.tokens.begin(), spec.tokens.end());
    while (spec.merges.size() < 25) {
      const auto left = static_cast<int32_t>(random() % spec.tokens.size());
      const auto right = static_cast<int32_t>(random() % spec.tokens.size());
      const std::string joined = spec.tokens[left] + spec.tokens[right];
      if (!seen.insert({left, right}).second || !spelled.insert(joined).second) continue;
      spec.merges.push_back({left, right, static_cast<int32_t>(spec.tokens.size())});
      spec.tokens.push_back(joined);
    }
    std::shuffle(spec.merges.begin(), spec.merges.end(), random);
    const BpeModel model(spec);
    for (const int length : {1, 2, 3, 5, 8, 20, 47, 48, 49, 60, 200}) {
      std::string piece;
      for (int i = 0; i < length; ++i) piece.push_back("abc"[random() % (round % 3 + 1)]);
      ASSERT_EQ(Encode(model, piece), Reference(spec, piece)) << piece;
    }
  }
}

TEST(BpeModelTest, BytesWithoutATokenAreUnknownOrDropped) {
  BpeModel::Spec spec = Letters({{0, 1}});
  EXPECT_THAT(Encode(BpeModel(spec), "axxb"), ElementsAre(3))
      << "what is dropped does not separate";
  spec.unknown_id = 2;
  EXPECT_THAT(Encode(BpeModel(spec), "axxb"), ElementsAre(0, 2, 2, 1));
  spec.fuse_unknown = true;
  EXPECT_THAT(Encode(BpeModel(spec), "axxbx"), ElementsAre(0, 2, 1, 2));
}

}  // namespace
}  // namespace skein
