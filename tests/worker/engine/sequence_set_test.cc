#include "worker/engine/sequence_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein {
namespace {

constexpr int kPageTokens = 4;

class SequenceSetTest : public testing::Test {
 protected:
  void Make(int slots, int64_t pages) {
    states_ = *StatePool::Create(8, slots);
    pages_ = *PagePool::Create({.num_planes = 2, .token_bytes = 4, .page_tokens = kPageTokens},
                               pages * 2 * 4 * kPageTokens);
    set_ = std::make_unique<SequenceSet>(states_.get(), pages_.get(), nullptr);
  }
  ActiveRequest& Request(int prompt_size, int choices = 1, int branches = 1) {
    auto request = std::make_unique<ActiveRequest>();
    request->request.prompt.assign(prompt_size, 1);
    request->request.num_choices = choices;
    request->unfinished_choices = choices;
    request->forked = choices == 1;
    if (branches > 1) request->request.conditioning.branches.resize(branches);
    requests_.push_back(std::move(request));
    return *requests_.back();
  }
  // As after a step that fed everything and drew a token.
  static void Draw(Sequence& sequence) {
    sequence.num_fed = sequence.num_tokens();
    sequence.tokens.push_back(2);
    ++sequence.num_drawn;
  }
  std::vector<bool> Paused() const {
    std::vector<bool> paused;
    for (const Sequence* sequence : set_->all()) paused.push_back(sequence->paused);
    return paused;
  }

  std::unique_ptr<StatePool> states_;
  std::unique_ptr<PagePool> pages_;
  std::vector<std::unique_ptr<ActiveRequest>> requests_;
  std::unique_ptr<SequenceSet> set_;
};

TEST_F(SequenceSetTest, AdmitsWhileSlotsForAllChoicesAndPagesForThePromptAreFree) {
  Make(4, 6);
  EXPECT_TRUE(set_->Admit(Request(8, 3)));
  EXPECT_EQ(set_->num_slots_held(), 3);
  EXPECT_EQ(pages_->num_free(), 4);
  EXPECT_FALSE(set_->Admit(Request(1, 2)));  // one slot is left
  EXPECT_FALSE(set_->Admit(Request(13)));    // four pages would leave none to grow into
  EXPECT_EQ(set_->num_slots_held(), 3);
  EXPECT_EQ(pages_->num_free(), 4);
  EXPECT_TRUE(set_->Admit(Request(12)));
}

TEST_F(SequenceSetTest, TheYoungestGivesWayAndComesBackFirst) {
  Make(4, 4);
  ASSERT_TRUE(set_->Admit(Request(4)));
  ASSERT_TRUE(set_->Admit(Request(4)));
  Sequence& oldest = *set_->all()[0];
  Sequence& youngest = *set_->all()[1];
  const auto turn = [&] {
    for (Sequence* sequence : set_->all()) {
      if (!sequence->paused) Draw(*sequence);
    }
    set_->MakeRoom();
  };
  while (!youngest.paused) {
    turn();
    ASSERT_LT(oldest.num_tokens(), 30);
  }
  EXPECT_EQ(youngest.num_fed, 0);
  EXPECT_TRUE(youngest.branches[0].pages.empty());
  EXPECT_EQ(static_cast<int64_t>(oldest.branches[0].pages.size()),
            pages_->PagesFor(oldest.num_tokens()));
  EXPECT_FALSE(set_->Admit(Request(1)));  // nobody slips past
  oldest.finished = true;
  set_->RemoveFinished();
  set_->MakeRoom();
  EXPECT_FALSE(youngest.paused);
  EXPECT_EQ(youngest.remaining(), youngest.num_tokens());
  EXPECT_EQ(static_cast<int64_t>(youngest.branches[0].pages.size()),
            pages_->PagesFor(youngest.num_tokens()));
}

TEST_F(SequenceSetTest, ForkedChoicesStandBehindTheirFirst) {
  Make(8, 20);
  ASSERT_TRUE(set_->Admit(Request(6, 3)));
  ASSERT_TRUE(set_->Admit(Request(2)));
  Sequence& first = *set_->all()[0];
  first.num_fed = 6;
  const std::vector<Sequence*> copies = set_->Fork(first);
  ASSERT_EQ(copies.size(), 2u);
  EXPECT_THAT(set_->all(), testing::ElementsAre(&first, copies[0], copies[1], set_->all()[3]));
  EXPECT_EQ(copies[0]->choice, 1);
  EXPECT_EQ(copies[1]->choice, 2);
  EXPECT_EQ(copies[1]->num_fed, 6);
  EXPECT_EQ(copies[1]->branches[0].pages[0], first.branches[0].pages[0]);
  EXPECT_NE(copies[1]->branches[0].pages[1], first.branches[0].pages[1]);
  first.request->ended = absl::OkStatus();
  set_->RemoveFinished();
  EXPECT_EQ(set_->num_slots_held(), 1);
  EXPECT_EQ(pages_->num_free(), 19);
}

TEST_F(SequenceSetTest, ChoicesWithoutAPageBeginPaused) {
  Make(8, 3);
  ASSERT_TRUE(set_->Admit(Request(6, 3)));
  Sequence& first = *set_->all()[0];
  first.num_fed = 6;
  set_->Fork(first);
  EXPECT_THAT(Paused(), testing::ElementsAre(false, false, true));
  EXPECT_EQ(set_->all()[2]->num_fed, 0);
  EXPECT_EQ(pages_->num_free(), 0);
}

// What the record of a slot holds.
uint64_t RecordOf(const StatePool& states, int32_t slot) {
  return static_cast<const uint64_t*>(states.base())[slot];
}

TEST_F(SequenceSetTest, BranchesGetTheirSlotsAndPagesTogetherOrWait) {
  Make(7, 9);
  EXPECT_TRUE(set_->Admit(Request(8, 1, 2)));
  EXPECT_EQ(set_->num_slots_held(), 2);
  EXPECT_EQ(pages_->num_free(), 5);
  EXPECT_FALSE(set_->Admit(Request(1, 2, 3)));  // five slots are left
  EXPECT_FALSE(set_->Admit(Request(5, 1, 2)));  // four pages would leave one for two to grow into
  EXPECT_EQ(set_->num_slots_held(), 2);
  EXPECT_EQ(pages_->num_free(), 5);
  EXPECT_TRUE(set_->Admit(Request(4, 1, 3)));
  EXPECT_EQ(set_->all()[1]->num_branches(), 3);
}

TEST_F(SequenceSetTest, EachBranchStartsFromItsStateAndIsForkedWithIt) {
  Make(8, 20);
  ActiveRequest& request = Request(6, 2, 3);
  const auto state = [](uint64_t record) {
    InitialState made{.record = *Arena::Create(8), .content_hash = ""};
    *static_cast<uint64_t*>(made.record->data()) = record;
    return std::make_shared<const InitialState>(std::move(made));
  };
  request.request.conditioning.branches[0].state = state(77);
  request.request.conditioning.branches[2].state = state(99);
  ASSERT_TRUE(set_->Admit(request));
  EXPECT_EQ(set_->num_slots_held(), 6);
  Sequence& first = *set_->all()[0];
  const auto records = [&](const Sequence& sequence) {
    std::vector<uint64_t> found;
    for (const SequenceMemory& branch : sequence.branches) {
      found.push_back(RecordOf(*states_, branch.slot));
    }
    return found;
  };
  EXPECT_THAT(records(first), testing::ElementsAre(77, 0, 99));
  first.num_fed = 6;
  const std::vector<Sequence*> copies = set_->Fork(first);
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_THAT(records(*copies[0]), testing::ElementsAre(77, 0, 99));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(copies[0]->branches[i].pages[0], first.branches[i].pages[0]);
    EXPECT_NE(copies[0]->branches[i].pages[1], first.branches[i].pages[1]);
  }
  first.finished = true;
  set_->RemoveFinished();
  EXPECT_EQ(set_->num_slots_held(), 3);
  EXPECT_EQ(pages_->num_free(), 14);
}

TEST_F(SequenceSetTest, AForkWithoutPagesForAllBranchesBeginsPausedAndHoldsNone) {
  Make(8, 5);
  ASSERT_TRUE(set_->Admit(Request(6, 2, 2)));
  Sequence& first = *set_->all()[0];
  first.num_fed = 6;
  set_->Fork(first);
  EXPECT_THAT(Paused(), testing::ElementsAre(false, true));
  EXPECT_EQ(pages_->num_free(), 1);
  EXPECT_EQ(set_->num_slots_held(), 4);
}

TEST_F(SequenceSetTest, EverythingComesBackWhenTheSetGoes) {
  Make(8, 20);
  ASSERT_TRUE(set_->Admit(Request(6, 3)));
  ASSERT_TRUE(set_->Admit(Request(9, 1, 2)));
  set_.reset();
  EXPECT_EQ(states_->num_free(), 8);
  EXPECT_EQ(pages_->num_free(), 20);
}

}  // namespace
}  // namespace skein
