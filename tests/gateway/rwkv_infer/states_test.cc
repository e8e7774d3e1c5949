#include "gateway/rwkv_infer/states.h"

#include <string>

#include "boost/json/array.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/gateway/rwkv_infer/infer_fixture.h"

namespace skein {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class InferStatesTest : public InferTest {
 protected:
  v1::Entry EntryOf(const std::string& name) const {
    for (const ModelEntry& known : pool_.Entries("fake")) {
      if (known.entry.name() == name) return known.entry;
    }
    return {};
  }
};

constexpr char kMixture[] =
    R"({"state_viewname":"Mix","state_filenames":["states/a.pth","states/b.pth"],)"
    R"("contain_originalstate":"True","state_gatingweight":["0.5","0.25"],)"
    R"("default_temperature":"0.9","default_top_p":"0.7"})";

TEST_F(InferStatesTest, AStateIsListedAtOnceOnEveryWorker) {
  const json::value loaded =
      Success(Post("/loadstatemodel", R"({"state_filename":"states/p.pth",)"
                                      R"("state_viewname":"Persona","default_top_p":"0.5"})"));
  EXPECT_EQ(loaded.at("workers").as_array().size(), 2u);
  EXPECT_THAT(a_.registered(), ElementsAre("Persona"));
  EXPECT_THAT(b_.registered(), ElementsAre("Persona"));
  EXPECT_EQ(Get("/models").body,
            R"([{"object":"models","id":"fake"},{"object":"models","id":"fake Persona"}])");
  EXPECT_EQ(EntryOf("Persona").defaults().top_p(), 0.5f);
}

TEST_F(InferStatesTest, AMixtureHasStatesOfItsOwnThatAreNotListed) {
  Success(Post("/mrss_loadstatemodel", kMixture));
  EXPECT_THAT(a_.registered(), ElementsAre("Mix", "Mix/1 a", "Mix/2 b"));
  EXPECT_EQ(EntryOf("Mix").mix().ShortDebugString(),
            R"(states { name: "Mix/1 a" weight: 0.5 } states { name: "Mix/2 b" weight: 0.25 } )"
            "states { }");
  EXPECT_EQ(EntryOf("Mix").defaults().temperature(), 0.9f);
  EXPECT_EQ(Get("/models").body,
            R"([{"object":"models","id":"fake"},{"object":"models","id":"fake Mix"}])");
}

TEST_F(InferStatesTest, WeightsAreEqualUnlessTheyAreGiven) {
  Success(Post("/mrss_loadstatemodel", R"({"state_viewname":"Mix","state_filenames":["a","b"]})"));
  EXPECT_EQ(EntryOf("Mix").mix().ShortDebugString(),
            R"(states { name: "Mix/1 a" weight: 1 } states { name: "Mix/2 b" weight: 1 })");
}

TEST_F(InferStatesTest, AMixtureThatIsLoadedAgainLosesItsOldStates) {
  Success(Post("/mrss_loadstatemodel", kMixture));
  Success(Post("/mrss_loadstatemodel",
               R"({"state_viewname":"Mix","state_filenames":["states/c.pth"]})"));
  EXPECT_THAT(a_.registered(), ElementsAre("Mix", "Mix/1 c"));
  EXPECT_THAT(b_.registered(), ElementsAre("Mix", "Mix/1 c"));
}

TEST_F(InferStatesTest, AMixtureThatCannotBeLoadedLeavesNothing) {
  const HttpResponse response = Post(
      "/mrss_loadstatemodel", R"({"state_viewname":"Mix","state_filenames":["a","missing.pth"]})");
  EXPECT_EQ(response.status, 404) << response.body;
  EXPECT_THAT(std::string(json::parse(response.body).at("detail").as_string()),
              HasSubstr("no file missing.pth"));
  EXPECT_THAT(a_.registered(), IsEmpty());
  EXPECT_THAT(b_.registered(), IsEmpty());
}

TEST_F(InferStatesTest, WeightsChangeByEitherNameAndKeepTheRest) {
  Success(Post("/mrss_loadstatemodel", kMixture));
  Success(Post("/mrss_set_gatingweight",
               R"({"state_viewname":"Mix","state_gatingweight":["0","1",0,7]})"));
  EXPECT_EQ(EntryOf("Mix").mix().ShortDebugString(),
            R"(states { name: "Mix/1 a" } states { name: "Mix/2 b" weight: 1 } states { })");
  EXPECT_EQ(EntryOf("Mix").defaults().ShortDebugString(), "temperature: 0.9 top_p: 0.7");
  Success(Post("/mrss_set_gatingweight",
               R"({"state_viewname":"fake Mix","default_temperature":"0.1"})"));
  EXPECT_EQ(EntryOf("Mix").mix().states(1).weight(), 1);
  EXPECT_EQ(EntryOf("Mix").defaults().ShortDebugString(), "temperature: 0.1 top_p: 0.7");
}

TEST_F(InferStatesTest, ErrorsSayWhatToDo) {
  Success(Post("/loadstatemodel", R"({"state_filename":"p","state_viewname":"Persona"})"));
  struct Case {
    const char* path;
    const char* body;
    int status;
    const char* detail;
  };
  for (const Case& c :
       {Case{"/loadstatemodel", R"({"state_filename":"missing.pth","state_viewname":"x"})", 404,
             "no file missing.pth"},
        Case{"/loadstatemodel", "{", 400, "not valid JSON"},
        Case{"/loadstatemodel", R"({"state_filename":"p","state_viewname":"x","model":"other"})",
             404, "other"},
        Case{"/mrss_loadstatemodel",
             R"({"state_viewname":"m","state_filenames":["a"],"state_gatingweight":[0,0]})", 400,
             "state_gatingweight: 0 for all 1 states"},
        Case{"/mrss_set_gatingweight", R"({"state_viewname":"Mix","state_gatingweight":[1]})", 404,
             "has no mixture \"Mix\""},
        Case{"/mrss_set_gatingweight", R"({"state_viewname":"Persona","state_gatingweight":[1]})",
             400, "is a single state"}}) {
    const HttpResponse response = Post(c.path, c.body);
    EXPECT_EQ(response.status, c.status) << response.body;
    EXPECT_THAT(std::string(json::parse(response.body).at("detail").as_string()),
                HasSubstr(c.detail));
  }
}

TEST_F(InferStatesTest, AllStatesAndMixturesGoAndAdaptersStay) {
  Success(Post("/mrss_loadstatemodel", kMixture));
  Success(Post("/loadstatemodel", R"({"state_filename":"p","state_viewname":"Persona"})"));
  for (FakeWorker* worker : {&a_, &b_}) {
    worker->ChangeRegistry([](FakeRegistry& registry) {
      v1::LoadAdapterRequest adapter;
      adapter.set_name("words");
      EXPECT_TRUE(registry.LoadAdapter(adapter).ok());
    });
  }
  Success(Post("/removestatemodel", R"({"dummy":"dummy"})"));
  EXPECT_THAT(a_.registered(), ElementsAre("words"));
  EXPECT_THAT(b_.registered(), ElementsAre("words"));
  EXPECT_EQ(Get("/models").body,
            R"([{"object":"models","id":"fake"},{"object":"models","id":"fake words"}])");
}

}  // namespace
}  // namespace skein
