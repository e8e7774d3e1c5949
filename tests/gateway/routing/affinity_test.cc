#include "gateway/routing/affinity.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "gateway/routing/stable_hash.h"

namespace skein {
namespace {

using ::testing::ElementsAre;

v1::GenerateRequest Chat(const std::vector<std::pair<std::string, std::string>>& turns) {
  v1::GenerateRequest request;
  for (const auto& [role, content] : turns) {
    v1::ChatTurn& turn = *request.mutable_prompt()->mutable_chat()->add_turns();
    turn.set_role(role);
    turn.set_content(content);
  }
  return request;
}

v1::GenerateRequest Text(const std::string& text) {
  v1::GenerateRequest request;
  request.mutable_prompt()->set_text(text);
  return request;
}

v1::GenerateRequest Tokens(int count, uint32_t last) {
  v1::GenerateRequest request;
  for (int i = 1; i < count; ++i) request.mutable_prompt()->mutable_tokens()->add_ids(7);
  request.mutable_prompt()->mutable_tokens()->add_ids(last);
  return request;
}

v1::GenerateRequest WithAdapter(v1::GenerateRequest request, const std::string& name) {
  request.mutable_conditioning()->add_adapters()->set_name(name);
  return request;
}

std::string KeyOf(const v1::GenerateRequest& request) {
  return PickRequestFor(request, "").affinity_key;
}

TEST(AffinityTest, RequestsWithTheSameStartHaveTheSameKey) {
  const std::string long_text(300, 'x');
  struct Case {
    const char* name;
    v1::GenerateRequest a, b;
    bool same;
  };
  for (const Case& c : {
           Case{"a conversation goes on", Chat({{"system", "s"}, {"user", "u"}}),
                Chat({{"system", "s"}, {"user", "u"}, {"assistant", "a"}, {"user", "v"}}), true},
           Case{"another first question", Chat({{"system", "s"}, {"user", "u"}}),
                Chat({{"system", "s"}, {"user", "v"}}), false},
           Case{"another system prompt", Chat({{"system", "s"}, {"user", "u"}}),
                Chat({{"system", "t"}, {"user", "u"}}), false},
           Case{"another role", Chat({{"system", "s"}}), Chat({{"assistant", "s"}}), false},
           Case{"texts differ late", Text(long_text + "a"), Text(long_text + "b"), true},
           Case{"texts differ early", Text("a" + long_text), Text("b" + long_text), false},
           Case{"tokens differ late", Tokens(65, 1), Tokens(65, 2), true},
           Case{"tokens differ early", Tokens(64, 1), Tokens(64, 2), false},
           Case{"other adapters", WithAdapter(Text("a"), "x"), WithAdapter(Text("a"), "y"), false},
           Case{"no prompt", {}, {}, true},
       }) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(KeyOf(c.a) == KeyOf(c.b), c.same);
  }
}

TEST(AffinityTest, AGivenKeyBeatsThePrompt) {
  EXPECT_EQ(PickRequestFor(Text("a"), "mine").affinity_key, "mine");
}

TEST(AffinityTest, ReadsModelChoicesAndEntries) {
  v1::GenerateRequest request = WithAdapter(WithAdapter(Text("a"), "one"), "two");
  request.set_model("m");
  request.set_n(3);
  request.mutable_conditioning()->set_entry("state");
  const PickRequest pick = PickRequestFor(request, "");
  EXPECT_EQ(pick.model, "m");
  EXPECT_EQ(pick.sequences, 3);
  EXPECT_THAT(pick.entries, ElementsAre("state", "one", "two"));
  request.mutable_conditioning()->mutable_mix()->add_states()->set_name("part");
  request.mutable_conditioning()->mutable_mix()->add_states();  // the zero state
  EXPECT_THAT(PickRequestFor(request, "").entries, ElementsAre("part", "one", "two"));
  EXPECT_EQ(PickRequestFor(Text("a"), "").sequences, 1);
  EXPECT_THAT(EntriesOf(WithAdapter(Text("a"), "").conditioning()), ElementsAre(""));
}

TEST(AffinityTest, TheHashIsTheSameEverywhere) {
  EXPECT_EQ(StableHash(""), 0xf52a15e9a9b5e89bu);
  EXPECT_EQ(StableHash("skein"), 0xd30877eda9e29000u);
  EXPECT_NE(StableHash("a"), StableHash("b"));
  EXPECT_NE(StableHash("a"), StableHash("a", 1));
}

}  // namespace
}  // namespace skein
