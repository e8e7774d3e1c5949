#include "gateway/endpoints/registry_admin.h"

#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/text_proto.h"
#include "tests/gateway/endpoints/endpoint_fixture.h"
#include "tests/testing/test_keys.h"

namespace skein {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kPirate[] = R"({"model":"fake","name":"pirate","path":"p.pth"})";

class RegistryAdminTest : public EndpointTest {
 protected:
  void SetUp() override {
    EndpointTest::SetUp();
    worker_.UseRegistry();
  }
};

TEST_F(RegistryAdminTest, AStateComesIsUsedAndGoes) {
  const HttpResponse added = Ask(
      Method::kPost, "/v1/states",
      R"({"model":"fake","name":"pirate","path":"p.pth","layout":"key_value","defaults":{"top_p":0.5}})");
  ASSERT_EQ(added.status, 200) << added.body;
  EXPECT_EQ(added.body,
            absl::StrCat(R"({"id":"fake pirate","object":"state","model":"fake","name":"pirate",)",
                         R"("content_hash":"hash of p.pth","bytes":1000,"warnings":[],)",
                         R"("workers":[{"worker":")", worker_.address(), R"(","ok":true}]})"));
  // At once, before the list that shows it.
  const HttpResponse used =
      Ask(Method::kPost, "/v1/completions", R"({"model":"fake","prompt":"a","state":"pirate"})");
  EXPECT_EQ(used.status, 200) << used.body;
  for (int i = 0; i < 1000 && pool_.Entries("fake").empty(); ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  ASSERT_EQ(pool_.Entries("fake").size(), 1u);
  EXPECT_EQ(pool_.Entries("fake")[0].entry.layout(), v1::STATE_LAYOUT_KEY_VALUE);
  EXPECT_EQ(pool_.Entries("fake")[0].entry.defaults().top_p(), 0.5f);
  const HttpResponse removed = Ask(Method::kDelete, "/v1/states/fake pirate");
  ASSERT_EQ(removed.status, 200) << removed.body;
  EXPECT_TRUE(json::parse(removed.body).at("deleted").as_bool());
  EXPECT_THAT(worker_.registered(), IsEmpty());
}

TEST_F(RegistryAdminTest, AMixtureIsDefinedAndRemoved) {
  ASSERT_EQ(Ask(Method::kPost, "/v1/states", kPirate).status, 200);
  const HttpResponse added =
      Ask(Method::kPost, "/v1/mixtures",
          R"({"model":"fake","name":"half","states":[{"name":"pirate"},{"name":null}]})");
  ASSERT_EQ(added.status, 200) << added.body;
  EXPECT_EQ(json::parse(added.body).at("object").as_string(), "mixture");
  EXPECT_THAT(worker_.registered(), ElementsAre("half", "pirate"));
  EXPECT_EQ(Ask(Method::kDelete, "/v1/mixtures/fake half").status, 200);
  EXPECT_THAT(worker_.registered(), ElementsAre("pirate"));
}

TEST_F(RegistryAdminTest, AnAdapterIsLoadedUsedAndRemoved) {
  const HttpResponse added =
      Ask(Method::kPost, "/v1/adapters",
          R"({"model":"fake","name":"words","path":"w.pth","alpha":8,"mole_rule":1})");
  ASSERT_EQ(added.status, 200) << added.body;
  EXPECT_EQ(added.body,
            absl::StrCat(R"({"id":"fake words","object":"adapter","model":"fake","name":"words",)",
                         R"("method":"lora","content_hash":"hash of w.pth","bytes":1000,)",
                         R"("warnings":[],"workers":[{"worker":")", worker_.address(),
                         R"(","ok":true}]})"));
  const HttpResponse used =
      Ask(Method::kPost, "/v1/completions", R"({"model":"fake","prompt":"a","adapter":"words"})");
  EXPECT_EQ(used.status, 200) << used.body;
  for (int i = 0; i < 1000 && pool_.Entries("fake").empty(); ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  ASSERT_EQ(pool_.Entries("fake").size(), 1u);
  EXPECT_EQ(pool_.Entries("fake")[0].entry.alpha(), 8);
  EXPECT_EQ(pool_.Entries("fake")[0].entry.mole_rule(), 1u);
  const HttpResponse removed = Ask(Method::kDelete, "/v1/adapters/fake words");
  ASSERT_EQ(removed.status, 200) << removed.body;
  EXPECT_EQ(json::parse(removed.body).at("object").as_string(), "adapter");
  EXPECT_THAT(worker_.registered(), IsEmpty());
}

TEST_F(RegistryAdminTest, ErrorsSayWhatIsWrongAndWhere) {
  struct Case {
    Method method;
    const char* path;
    const char* body;
    int status;
    const char* message;
  };
  for (const Case& c :
       {Case{Method::kPost, "/v1/states", R"({"model":"fake","name":"a"})", 400, "path: missing"},
        Case{Method::kPost, "/v1/states", R"({"model":"other","name":"a","path":"p"})", 404,
             "other"},
        Case{Method::kPost, "/v1/states", R"({"model":"fake","name":"a","path":"missing.pth"})",
             404, "no file missing.pth"},
        Case{Method::kPost, "/v1/states",
             R"({"model":"fake","name":"a","path":"p","defaults":{"top_k":1}})", 400,
             "defaults.top_k: unknown field"},
        Case{Method::kPost, "/v1/mixtures", R"({"model":"fake","name":"a","states":[]})", 400,
             "states: found 0 objects"},
        Case{Method::kPost, "/v1/mixtures",
             R"({"model":"fake","name":"a","states":[{"name":"x"}]})", 404, "not registered"},
        Case{Method::kPost, "/v1/adapters", R"({"model":"fake","name":"a","path":"missing"})", 404,
             "no file missing"},
        Case{Method::kPost, "/v1/adapters",
             R"({"model":"fake","name":"a","path":"p","alpha":8,"scaling":1})", 400,
             "scaling: given together with alpha"},
        Case{Method::kPost, "/v1/adapters",
             R"({"model":"fake","name":"a","path":"p","mole_rule":3})", 400,
             "mole_rule: found 3, expected an integer 1 to 2"},
        Case{Method::kPost, "/v1/adapters",
             R"({"model":"fake","name":"a","path":"p","defaults":{}})", 400,
             "defaults: unknown field"},
        Case{Method::kDelete, "/v1/states/fake", "", 404, "MODEL NAME"},
        Case{Method::kDelete, "/v1/adapters/fake a", "", 404, "not registered"},
        Case{Method::kDelete, "/v1/states/fake a", "", 404, "not registered"}}) {
    const HttpResponse response = Ask(c.method, c.path, c.body);
    EXPECT_EQ(response.status, c.status) << response.body;
    EXPECT_THAT(std::string(ErrorMember(response.body, "message").as_string()),
                HasSubstr(c.message));
  }
  EXPECT_THAT(worker_.registered(), IsEmpty());
}

TEST_F(RegistryAdminTest, AListOfAdaptersLimitsWhatAKeyChangesAndSees) {
  config::v1::KeysFile keys;
  ASSERT_TRUE(ParseTextProto(TestKey("gamma", "role: 'admin' adapter: 'pir*'") +
                                 TestKey("alpha", "role: 'inference' adapter: 'pir*'") +
                                 TestKey("beta", "role: 'admin' role: 'inference'"),
                             "keys", keys)
                  .ok());
  ASSERT_TRUE(access_.SetKeys(keys).ok());
  const auto ask = [this](const char* key, Method method, const char* path, const char* body) {
    headers_ = {{"authorization", absl::StrCat("Bearer ", key)}};
    return Ask(method, path, body);
  };
  constexpr char kSailor[] = R"({"model":"fake","name":"sailor","path":"s.pth"})";
  constexpr char kOfSailor[] =
      R"({"model":"fake","name":"pirouette","states":[{"name":"sailor"}]})";
  EXPECT_EQ(ask("gamma", Method::kPost, "/v1/states", kPirate).status, 200);
  EXPECT_EQ(ask("gamma", Method::kPost, "/v1/states", kSailor).status, 403);
  EXPECT_EQ(ask("beta", Method::kPost, "/v1/states", kSailor).status, 200);
  EXPECT_EQ(ask("gamma", Method::kPost, "/v1/mixtures", kOfSailor).status, 403);
  EXPECT_EQ(ask("gamma", Method::kDelete, "/v1/states/fake sailor", "").status, 403);
  for (int i = 0; i < 1000 && pool_.Entries("fake").size() < 2; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  const auto num_listed = [&](const char* key) {
    const HttpResponse list = ask(key, Method::kGet, "/v1/models", "");
    return json::parse(list.body).at("data").as_array().size();
  };
  EXPECT_EQ(num_listed("alpha"), 2u);
  EXPECT_EQ(num_listed("beta"), 3u);
}

TEST_F(RegistryAdminTest, TheAnswerSaysWhichWorkerTookIt) {
  FakeWorker without("fake");  // has no registry
  WorkerPool pool({worker_.address(), without.address()});
  GatewayContext context{pool, metrics_, registry_, context_.config, Clock::Real(), access_};
  for (int i = 0; i < 1000 && pool.States()[WorkerState::kReady] < 2; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  HttpRequest request;
  request.method = Method::kPost;
  request.path = "/v1/states";
  request.body = kPirate;
  const auto out = std::make_shared<RecordingResponder>();
  HandleRequest(request, context, out);
  ASSERT_TRUE(out->WaitForAnswer());
  EXPECT_EQ(out->response().status, 409) << out->response().body;
  const json::array workers = json::parse(out->response().body).at("workers").as_array();
  ASSERT_EQ(workers.size(), 2u);
  for (const json::value& worker : workers) {
    EXPECT_EQ(worker.at("ok").as_bool(), worker.at("worker").as_string() == worker_.address());
  }
  EXPECT_TRUE(WaitForCalls(absl::Seconds(20)));
}

}  // namespace
}  // namespace skein
