#include "gateway/routing/entry_table.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kModel[] = "m";

v1::Entry State(const std::string& name, const std::string& content = "x") {
  v1::Entry entry;
  entry.set_kind(v1::ENTRY_KIND_STATE);
  entry.set_name(name);
  entry.set_path(name + ".pth");
  entry.set_content_hash(content);
  entry.set_layout(v1::STATE_LAYOUT_KEY_VALUE);
  return entry;
}

v1::Entry Mixture(const std::string& name, const std::vector<std::string>& states,
                  float weight = 1) {
  v1::Entry entry;
  entry.set_kind(v1::ENTRY_KIND_MIXTURE);
  entry.set_name(name);
  for (const std::string& state : states) {
    v1::StateWeight& part = *entry.mutable_mix()->add_states();
    part.set_name(state);
    part.set_weight(weight);
  }
  return entry;
}

v1::Entry AnAdapter(const std::string& name) {
  v1::Entry entry;
  entry.set_kind(v1::ENTRY_KIND_ADAPTER);
  entry.set_name(name);
  entry.set_path(name + ".pth");
  entry.set_content_hash("x");
  entry.set_alpha(8);
  entry.set_mole_rule(1);
  return entry;
}

// "load NAME", "define NAME", "remove NAME", "adapt NAME".
std::string Text(const EntryChange& change) {
  const char* const verbs[] = {"load ", "define ", "remove ", "adapt "};
  return absl::StrCat(verbs[change.index()], SubjectOf(change).second);
}

// Workers that do what the table asks them for.
class EntryTableTest : public ::testing::Test {
 protected:
  struct Worker {
    std::map<std::string, v1::Entry> entries;
    uint64_t revision = 1;
  };

  void Connect(uint64_t worker, const std::vector<v1::Entry>& entries = {}) {
    Worker& w = workers_[worker];
    w = {};
    for (const v1::Entry& entry : entries) w.entries[entry.name()] = entry;
    table_.SetDown(worker);
    ShowLoad(worker);
    ShowList(worker);
  }
  // Something else than the table changes what a worker has, and the table hears of it.
  void Set(uint64_t worker, const v1::Entry& entry) {
    workers_[worker].entries[entry.name()] = entry;
    ++workers_[worker].revision;
    Show(worker);
  }
  void Erase(uint64_t worker, const std::string& name) {
    workers_[worker].entries.erase(name);
    ++workers_[worker].revision;
    Show(worker);
  }
  void Show(uint64_t worker) {
    ShowLoad(worker);
    ShowList(worker);
  }
  void ShowLoad(uint64_t worker) {
    v1::WorkerLoad load;
    load.add_ready_models(kModel);
    load.set_registry_revision(workers_[worker].revision);
    table_.SetLoad(worker, absl::StrCat("w", worker), load, now_);
  }
  void ShowList(uint64_t worker) {
    v1::ListResponse list;
    list.set_revision(workers_[worker].revision);
    for (const auto& [name, entry] : workers_[worker].entries) *list.add_entries() = entry;
    table_.BeginList(worker, kModel);
    table_.SetList(worker, kModel, list);
  }

  // What is asked for and done until nothing more is.
  std::vector<std::string> CatchUps(uint64_t worker) {
    std::vector<std::string> changes;
    while (const auto change = table_.NextChange(worker, now_)) {
      changes.push_back(Text(*change));
      Do(worker, *change);
      table_.SetChanged(worker, *change, absl::OkStatus(), now_);
      ShowList(worker);
    }
    return changes;
  }
  void Do(uint64_t worker, const EntryChange& change) {
    Worker& w = workers_[worker];
    ++w.revision;
    const std::string name = SubjectOf(change).second;
    if (const auto* load = std::get_if<v1::LoadStateRequest>(&change)) {
      w.entries[name] = State(name, content_[load->path()].empty() ? "x" : content_[load->path()]);
    } else if (const auto* define = std::get_if<v1::DefineMixtureRequest>(&change)) {
      w.entries[name] = Mixture(name, {});
      *w.entries[name].mutable_mix() = define->mix();
    } else if (std::holds_alternative<v1::LoadAdapterRequest>(change)) {
      w.entries[name] = AnAdapter(name);
    } else {
      w.entries.erase(name);
    }
  }
  // Nobody is new any more.
  void Settle() {
    now_ += absl::Seconds(20);
    for (const auto& [number, worker] : workers_) EXPECT_THAT(CatchUps(number), IsEmpty());
  }

  std::vector<std::string> conflicts_;
  RegistryDifferences Differences() { return table_.Differences(now_, conflicts_)[kModel]; }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  EntryTable table_;
  std::map<uint64_t, Worker> workers_;
  std::map<std::string, std::string> content_;  // by path
};

TEST_F(EntryTableTest, AChangeWhileAWorkerIsAskedIsAskedForAgain) {
  ShowLoad(1);
  table_.BeginList(1, kModel);
  ++workers_[1].revision;
  ShowLoad(1);
  table_.SetNoList(1, kModel, absl::UnimplementedError("none"), now_);
  EXPECT_EQ(table_.ListDue(1, now_), kModel);
  ShowList(1);
  EXPECT_EQ(table_.ListDue(1, now_), "");
}

TEST_F(EntryTableTest, AWorkerHasWhatItsCurrentListSays) {
  EXPECT_EQ(table_.Has(1, kModel, {"a"}), Holding::kMaybe);
  EXPECT_EQ(table_.Has(kModel, "a"), Holding::kNo);
  ShowLoad(1);
  EXPECT_EQ(table_.Has(kModel, "a"), Holding::kMaybe);
  Connect(1, {State("a"), State("b")});
  EXPECT_EQ(table_.Has(1, kModel, {"a", "b"}), Holding::kYes);
  EXPECT_EQ(table_.Has(1, kModel, {"a", "c"}), Holding::kNo);
  EXPECT_EQ(table_.Has(1, kModel, std::vector<std::string>{}), Holding::kYes);
  // A change is on its way.
  ++workers_[1].revision;
  ShowLoad(1);
  EXPECT_EQ(table_.Has(kModel, "a"), Holding::kYes);
  EXPECT_EQ(table_.Has(kModel, "c"), Holding::kMaybe);
  // Another one comes: what the first one has is not to be had there before it says so.
  ShowLoad(2);
  EXPECT_EQ(table_.Has(2, kModel, {"a"}), Holding::kNo);
  EXPECT_EQ(table_.Has(2, kModel, {"c"}), Holding::kMaybe);
  table_.Remove(2);
  ShowList(1);
  EXPECT_EQ(table_.Has(kModel, "c"), Holding::kNo);
  table_.Touch({"w1"});
  EXPECT_EQ(table_.Has(kModel, "c"), Holding::kMaybe);
  table_.BeginList(1, kModel);
  EXPECT_EQ(table_.Has(kModel, "c"), Holding::kMaybe);
  ShowList(1);
  EXPECT_EQ(table_.Has(kModel, "c"), Holding::kNo);
  // A worker that is down has what it had, and may come back.
  table_.SetDown(1);
  EXPECT_EQ(table_.Has(1, kModel, {"a"}), Holding::kYes);
  EXPECT_EQ(table_.Has(kModel, "a"), Holding::kMaybe);
  EXPECT_EQ(table_.Has(kModel, "c"), Holding::kNo);
}

TEST_F(EntryTableTest, ListsAreDueWhenSomethingMayHaveChanged) {
  EXPECT_EQ(table_.ListDue(1, now_), "");
  ShowLoad(1);
  EXPECT_EQ(table_.ListDue(1, now_), kModel);
  ShowList(1);
  EXPECT_EQ(table_.ListDue(1, now_), "");
  ++workers_[1].revision;
  ShowLoad(1);
  EXPECT_EQ(table_.ListDue(1, now_), kModel);
  // The answer is older than another change, made meanwhile.
  table_.BeginList(1, kModel);
  table_.Touch({"w1"});
  v1::ListResponse list;
  list.set_revision(2);
  table_.SetList(1, kModel, list);
  EXPECT_EQ(table_.ListDue(1, now_), kModel);
  table_.SetNoList(1, kModel, absl::UnavailableError("busy"), now_);
  EXPECT_EQ(table_.ListDue(1, now_), "");
  EXPECT_EQ(table_.ListDue(1, now_ + absl::Seconds(6)), kModel);
  table_.SetDown(1);
  EXPECT_EQ(table_.ListDue(1, now_ + absl::Seconds(6)), "");
}

TEST_F(EntryTableTest, OnlyTheWorkerKnowsIfItHasNoRegistry) {
  ShowLoad(1);
  table_.BeginList(1, kModel);
  table_.SetNoList(1, kModel, absl::UnimplementedError("none"), now_);
  EXPECT_EQ(table_.ListDue(1, now_), "");
  EXPECT_EQ(table_.Has(kModel, "a"), Holding::kMaybe);
  Connect(2, {State("a")});
  EXPECT_FALSE(table_.NextChange(1, now_).has_value());
  now_ += absl::Seconds(10);
  EXPECT_EQ(Differences().missing, 0);
}

TEST_F(EntryTableTest, ANewWorkerGetsWhatItsPeersHave) {
  Connect(1, {State("a"), Mixture("ab", {"a", "", "b"}), State("b")});
  Settle();
  Connect(2, {State("b")});
  EXPECT_THAT(CatchUps(2), ElementsAre("load a", "define ab"));
  EXPECT_EQ(table_.Has(2, kModel, {"a", "b", "ab"}), Holding::kYes);
  EXPECT_THAT(CatchUps(1), IsEmpty());
  Settle();
  // Lost its registry, without having been away.
  workers_[2] = {.entries = {}, .revision = 0};
  Show(2);
  EXPECT_THAT(CatchUps(2), ElementsAre("load a", "load b", "define ab"));
}

TEST_F(EntryTableTest, ARequestToLoadSaysAllThatTheListDoes) {
  v1::Entry entry = State("a");
  entry.mutable_defaults()->set_temperature(0.5);
  Connect(1, {entry});
  Connect(2);
  const auto change = table_.NextChange(2, now_);
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(std::get<v1::LoadStateRequest>(*change).ShortDebugString(),
            "model: \"m\" name: \"a\" path: \"a.pth\" layout: STATE_LAYOUT_KEY_VALUE "
            "defaults { temperature: 0.5 }");
}

TEST_F(EntryTableTest, WorkersThatComeTogetherGetWhatAnyOfThemHas) {
  Connect(1, {State("a")});
  Connect(2, {State("b")});
  Connect(3);
  EXPECT_THAT(CatchUps(1), ElementsAre("load b"));
  EXPECT_THAT(CatchUps(2), ElementsAre("load a"));
  EXPECT_THAT(CatchUps(3), ElementsAre("load a", "load b"));
}

TEST_F(EntryTableTest, ALateListOfAPeerStillCounts) {
  Connect(1);
  ShowLoad(2);
  now_ += absl::Minutes(5);
  EXPECT_THAT(CatchUps(1), IsEmpty());
  workers_[2].entries["a"] = State("a");
  ShowList(2);
  EXPECT_THAT(CatchUps(1), ElementsAre("load a"));
}

TEST_F(EntryTableTest, WhatAnOldWorkerLosesWasRemovedAndIsNotPutBack) {
  Connect(1, {State("a"), State("b")});
  Connect(2, {State("a"), State("b")});
  Connect(6, {State("a"), State("b")});
  Settle();
  table_.SetDown(6);
  Erase(1, "a");  // the removal has reached one of them
  EXPECT_THAT(CatchUps(1), IsEmpty());
  Connect(3, {State("b")});
  EXPECT_THAT(CatchUps(3), IsEmpty());
  Erase(2, "a");
  EXPECT_EQ(table_.Has(kModel, "a"), Holding::kNo);  // whatever the one had that is down
  // It was away, and brings it along.
  Connect(4, {State("a"), State("b")});
  EXPECT_THAT(CatchUps(4), ElementsAre("remove a"));
  // Loaded again: that is another matter.
  Set(1, State("a"));
  Connect(5, {State("b")});
  EXPECT_THAT(CatchUps(5), ElementsAre("load a"));
}

TEST_F(EntryTableTest, ARemovalThatOvertakesTheCatchUpWins) {
  Connect(1, {State("a")});
  Settle();
  Connect(2);
  const auto change = table_.NextChange(2, now_);
  ASSERT_TRUE(change.has_value());
  Erase(1, "a");
  Do(2, *change);
  table_.SetChanged(2, *change, absl::OkStatus(), now_);
  Show(2);
  now_ += absl::Seconds(2);
  EXPECT_THAT(CatchUps(2), ElementsAre("remove a"));
  EXPECT_EQ(table_.Has(kModel, "a"), Holding::kNo);
}

TEST_F(EntryTableTest, AWorkerThatMissedANewContentGetsIt) {
  Connect(1, {State("a", "old")});
  Settle();
  content_["a.pth"] = "new";
  Set(1, State("a", "new"));
  Connect(2, {State("a", "old")});
  EXPECT_THAT(CatchUps(2), ElementsAre("load a"));
  now_ += absl::Seconds(5);
  EXPECT_EQ(Differences().conflicting, 0);
}

TEST_F(EntryTableTest, AnotherContentIsAConflictAndStays) {
  Connect(1, {State("a", "x"), Mixture("b", {""}, 1)});
  Connect(2, {State("a", "y"), Mixture("b", {""}, 2)});
  EXPECT_THAT(CatchUps(2), IsEmpty());
  EXPECT_EQ(Differences().conflicting, 0);
  now_ += absl::Seconds(4);  // it is no change on its way
  EXPECT_EQ(Differences().conflicting, 2);
  EXPECT_THAT(conflicts_, ElementsAre("m a", "m b"));
  EXPECT_EQ(Differences().conflicting, 2);
  EXPECT_EQ(conflicts_.size(), 2u);  // told once
  const std::vector<ModelEntry> entries = table_.Entries(kModel);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_TRUE(entries[0].differs);
  EXPECT_THAT(entries[0].workers, ElementsAre("w1", "w2"));
  Set(2, State("a", "x"));
  EXPECT_EQ(Differences().conflicting, 1);
}

TEST_F(EntryTableTest, FailedCatchUpsAreTriedAgainIfThatCanHelp) {
  Connect(1, {State("a"), State("b"), Mixture("ab", {"a", "b"})});
  Settle();
  Connect(2);
  auto change = table_.NextChange(2, now_);
  ASSERT_EQ(Text(*change), "load a");
  table_.SetChanged(2, *change, absl::DataLossError("torn"), now_);
  EXPECT_FALSE(table_.NextChange(2, now_).has_value());  // before it has listed again
  ShowList(2);
  change = table_.NextChange(2, now_);
  ASSERT_TRUE(change.has_value());
  ASSERT_EQ(Text(*change), "load b");
  EXPECT_FALSE(table_.NextChange(2, now_).has_value());  // one is under way
  table_.SetChanged(2, *change, absl::UnavailableError("busy"), now_);
  ShowList(2);
  EXPECT_FALSE(table_.NextChange(2, now_).has_value());
  now_ += absl::Seconds(1);
  EXPECT_THAT(CatchUps(2), ElementsAre("load b"));  // the mixture lacks a state
  now_ += absl::Seconds(100);
  EXPECT_THAT(CatchUps(2), IsEmpty());
  Differences();
  now_ += absl::Seconds(4);
  EXPECT_EQ(Differences().missing, 2);
}

TEST_F(EntryTableTest, AdaptersAreLoadedAsTheListSaysAndRemoved) {
  Connect(1, {AnAdapter("words")});
  Connect(2);
  const auto change = table_.NextChange(2, now_);
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(std::get<v1::LoadAdapterRequest>(*change).ShortDebugString(),
            "model: \"m\" name: \"words\" path: \"words.pth\" alpha: 8 mole_rule: 1");
  Connect(2);
  EXPECT_THAT(CatchUps(2), ElementsAre("adapt words"));
  EXPECT_EQ(table_.Has(2, kModel, {"words"}), Holding::kYes);
  Settle();
  Erase(1, "words");
  Erase(2, "words");
  Connect(3, {AnAdapter("words")});
  EXPECT_THAT(CatchUps(3), ElementsAre("remove words"));
}

TEST_F(EntryTableTest, AWorkerThatGoesIsForgotten) {
  Connect(1, {State("a")});
  Connect(2);
  const auto change = table_.NextChange(2, now_);
  table_.Remove(2);
  table_.SetChanged(2, *change, absl::OkStatus(), now_);
  EXPECT_FALSE(table_.NextChange(2, now_).has_value());
  EXPECT_EQ(table_.KindOf(kModel, "a"), v1::ENTRY_KIND_STATE);
  EXPECT_EQ(table_.KindOf(kModel, "b"), v1::ENTRY_KIND_UNSPECIFIED);
  table_.Remove(1);
  EXPECT_EQ(table_.KindOf(kModel, "a"), v1::ENTRY_KIND_UNSPECIFIED);
  EXPECT_THAT(table_.Entries(kModel), IsEmpty());
}

}  // namespace
}  // namespace skein
