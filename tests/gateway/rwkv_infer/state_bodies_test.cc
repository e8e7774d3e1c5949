#include "gateway/rwkv_infer/state_bodies.h"

#include <string>
#include <vector>

#include "boost/json/parse.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "gateway/endpoints/errors.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

boost::json::object Parse(const char* text) { return boost::json::parse(text).as_object(); }

TEST(StateBodiesTest, AStateHasAFileAndDefaults) {
  const auto body =
      ReadLoadState(Parse(R"({"state_filename":"states/p.pth","state_viewname":"Persona",
                "default_temperature":"1.0","default_top_p":0.5})"));
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_THAT(body->paths, ElementsAre("states/p.pth"));
  EXPECT_EQ(body->name, "Persona");
  EXPECT_EQ(body->defaults.ShortDebugString(), "temperature: 1 top_p: 0.5");
}

TEST(StateBodiesTest, TrueIsABooleanOrAString) {
  struct Case {
    const char* value;
    bool expected;
  };
  for (const Case& c : {Case{R"("True")", true}, Case{R"("true")", true}, Case{"true", true},
                        Case{R"("False")", false}, Case{"false", false}, Case{"null", false}}) {
    const auto body = ReadLoadMixture(
        Parse((std::string(R"({"state_viewname":"m","state_filenames":["a","b"],)") +
               R"("contain_originalstate":)" + c.value + "}")
                  .c_str()));
    ASSERT_TRUE(body.ok()) << body.status();
    EXPECT_EQ(body->with_zero_state, c.expected) << c.value;
  }
}

TEST(StateBodiesTest, WeightsMayBeStrings) {
  const auto body = ReadSetWeights(
      Parse(R"({"state_viewname":"RWKV m","state_gatingweight":["0.5",1,"-2e-1"]})"));
  ASSERT_TRUE(body.ok()) << body.status();
  ASSERT_TRUE(body->weights.has_value());
  EXPECT_THAT(*body->weights, ElementsAre(0.5f, 1.0f, -0.2f));
}

TEST(StateBodiesTest, ErrorsNameTheField) {
  struct Case {
    const char* body;
    const char* param;
    const char* message;
  };
  for (const Case& c :
       {Case{R"({"state_filenames":["a"]})", "state_viewname", "missing"},
        Case{R"({"state_viewname":"m"})", "state_filenames", "missing"},
        Case{R"({"state_viewname":"m","state_filenames":[]})", "state_filenames",
             "found 0 strings, expected 1 to 64"},
        Case{R"({"state_viewname":"m","state_filenames":[1]})", "state_filenames[0]",
             "expected a string"},
        Case{R"({"state_viewname":"m","state_filenames":["a"],"contain_originalstate":"yes"})",
             "contain_originalstate", "expected true or false"},
        Case{R"({"state_viewname":"m","state_filenames":["a"],"state_gatingweight":["x"]})",
             "state_gatingweight[0]", "expected a number"},
        Case{R"({"state_viewname":"m","state_filenames":["a"],"state_gatingweight":"1"})",
             "state_gatingweight", "expected a list of numbers"},
        Case{R"({"state_viewname":"m","state_filenames":["a"],"state_gatingweight":["inf"]})",
             "state_gatingweight[0]", "expected a number"}}) {
    const auto body = ReadLoadMixture(Parse(c.body));
    EXPECT_EQ(ParamOf(body.status()), c.param) << c.body;
    EXPECT_EQ(HttpStatusOf(body.status()), 400);
    EXPECT_THAT(std::string(body.status().message()), HasSubstr(c.message));
  }
}

TEST(StateBodiesTest, MissingWeightsAreZeroAndSurplusOnesLeftOut) {
  struct Case {
    std::vector<float> weights;
    std::vector<float> shares;  // empty: refused
  };
  for (const Case& c :
       {Case{{0.5f}, {0.5f, 0, 0}}, Case{{1, 2, 3, 4}, {1, 2, 3}}, Case{{0, 0, 0, 4}, {}},
        Case{{}, {}}, Case{{1, -1}, {}}, Case{{2, -1}, {2, -1, 0}}}) {
    v1::StateMix mix;
    for (int i = 0; i < 3; ++i) mix.add_states();
    const absl::Status status = Weigh("state_gatingweight", c.weights, mix);
    EXPECT_EQ(status.ok(), !c.shares.empty()) << status;
    if (!status.ok()) {
      EXPECT_EQ(ParamOf(status), "state_gatingweight");
      continue;
    }
    for (int i = 0; i < 3; ++i) EXPECT_EQ(mix.states(i).weight(), c.shares[i]);
  }
}

TEST(StateBodiesTest, MembersAreCalledAfterTheirMixture) {
  EXPECT_EQ(MemberName("My Mix", 0, "states/rwkv-49_state.pth"), "My Mix/1 rwkv-49_state");
  EXPECT_EQ(MemberName("m", 1, "./states/_a b (c).pth"), "m/2 a_b__c");
  EXPECT_EQ(MemberName("m", 2, "日.pth"), "m/3");
  EXPECT_EQ(MemberName(std::string(120, 'm'), 0, "a-long-name.pth"), std::string(120, 'm') + "/1");
  EXPECT_TRUE(IsMemberOf("m/1 a", "m"));
  EXPECT_TRUE(IsMemberOf("m/12", "m"));
  EXPECT_FALSE(IsMemberOf("m/1a", "m"));
  EXPECT_FALSE(IsMemberOf("m/x 1", "m"));
  EXPECT_FALSE(IsMemberOf("mm/1", "m"));
  EXPECT_FALSE(IsMemberOf("m", "m"));
}

}  // namespace
}  // namespace skein
