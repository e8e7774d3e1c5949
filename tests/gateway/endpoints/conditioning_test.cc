// States and mixtures by a request's fields or its model's name.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "boost/json/parse.hpp"
#include "gtest/gtest.h"

#include "tests/gateway/endpoints/endpoint_fixture.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr char kCompletions[] = "/v1/completions";

// A worker with the state "pirate" and the mixture "half".
class ConditioningTest : public EndpointTest {
 protected:
  void SetUp() override {
    EndpointTest::SetUp();
    worker_.UseRegistry();
    worker_.ChangeRegistry([](FakeRegistry& registry) {
      v1::LoadStateRequest state;
      state.set_name("pirate");
      EXPECT_TRUE(registry.LoadState(state).ok());
      v1::DefineMixtureRequest half;
      half.set_name("half");
      half.mutable_mix()->add_states()->set_name("pirate");
      EXPECT_TRUE(registry.DefineMixture(half).ok());
    });
    const auto known = [&] {
      return pool_.Has("fake", "half") == Holding::kYes &&
             pool_.Has("fake", "other") == Holding::kNo;
    };
    for (int i = 0; i < 1000 && !known(); ++i) absl::SleepFor(absl::Milliseconds(10));
    ASSERT_TRUE(known());
  }

  HttpResponse AskFor(const std::string& model, const std::string& more = "") {
    return Ask(Method::kPost, kCompletions,
               absl::StrCat(R"({"prompt":"hi","model":")", model, R"(")", more, "}"));
  }
};

TEST_F(ConditioningTest, FieldsOrTheModelsNameChooseAState) {
  for (const auto& [model, more] :
       std::vector<std::pair<std::string, std::string>>{{"fake", R"(,"state":"half")"},
                                                        {"fake half", ""},
                                                        {"fake half", R"(,"state":"half")"}}) {
    const HttpResponse response = AskFor(model, more);
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(json::parse(response.body).at("model").as_string(), model);
    EXPECT_EQ(json::parse(response.body).at("system_fingerprint").as_string(), "fake-1");
    const v1::GenerateRequest request = worker_.calls().back().request;
    EXPECT_EQ(request.model(), "fake");
    EXPECT_EQ(request.conditioning().ShortDebugString(), R"(entry: "half")");
  }
}

TEST_F(ConditioningTest, UnknownEntriesAndTwoChoicesAreRefused) {
  struct Case {
    const char* model;
    const char* more;
    int status;
    const char* param;
    const char* code;
  };
  for (const Case& c :
       {Case{"fake", R"(,"state":"pirat")", 404, "state", "state_not_found"},
        Case{"fake", R"(,"states":[{"name":null},{"name":"x"}])", 404, "states[1].name",
             "state_not_found"},
        Case{"fake", R"(,"adapter":"words")", 404, "adapter", "adapter_not_found"},
        Case{"fake pirat", "", 404, "model", "model_not_found"},
        Case{"fake  pirate", "", 404, "model", "model_not_found"},
        Case{"fakes", "", 404, "model", "model_not_found"},
        Case{"fake pirate", R"(,"state":"half")", 400, "state", nullptr},
        Case{"fake pirate", R"(,"state":"")", 400, "state", nullptr},
        Case{"fake pirate", R"(,"states":[{"name":"pirate"}])", 400, "states", nullptr}}) {
    const HttpResponse response = AskFor(c.model, c.more);
    EXPECT_EQ(response.status, c.status) << c.model << c.more << response.body;
    EXPECT_EQ(ErrorMember(response.body, "param").as_string(), c.param) << response.body;
    if (c.code != nullptr) {
      EXPECT_EQ(ErrorMember(response.body, "code").as_string(), c.code) << response.body;
    }
  }
  EXPECT_TRUE(worker_.calls().empty());
}

}  // namespace
}  // namespace skein
