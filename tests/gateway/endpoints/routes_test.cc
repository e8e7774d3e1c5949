#include "gateway/endpoints/routes.h"

#include <string>

#include "absl/strings/match.h"
#include "boost/json/serialize.hpp"

#include "gateway/endpoints/openapi_document.h"
#include "tests/gateway/endpoints/endpoint_fixture.h"
#include "tests/testing/fake_clock.h"

namespace skein {
namespace {

namespace json = boost::json;

using RoutesTest = EndpointTest;

TEST_F(RoutesTest, AnUnknownPathIs404) {
  for (const char* path : {"/", "/v1", "/v1/chat/completions/", "/v1/models/", "/V1/models",
                           "/v1/chat", "/healthz/x"}) {
    const HttpResponse response = Ask(Method::kGet, path);
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_EQ(ErrorMember(response.body, "code").as_string(), "unknown_url");
    EXPECT_EQ(ErrorMember(response.body, "type").as_string(), "not_found_error");
  }
}

TEST_F(RoutesTest, AWrongMethodIs405AndAllowNamesTheRightOnes) {
  struct Case {
    Method method;
    const char* path;
    const char* allow;
  };
  for (const Case& c :
       {Case{Method::kGet, "/v1/chat/completions", "POST"},
        Case{Method::kHead, "/v1/completions", "POST"},
        Case{Method::kOther, "/v1/tokenize", "POST"},
        Case{Method::kPost, "/v1/models", "GET, HEAD"},
        Case{Method::kDelete, "/v1/models/fake", "GET, HEAD"},
        Case{Method::kGet, "/v1/states", "POST"}, Case{Method::kPost, "/v1/mixtures/a b", "DELETE"},
        Case{Method::kPut, "/healthz", "GET, HEAD"},
        Case{Method::kOptions, "/metrics", "GET, HEAD"}}) {
    const HttpResponse response = Ask(c.method, c.path, "{}");
    EXPECT_EQ(response.status, 405) << c.path;
    EXPECT_EQ(Header(response, "Allow"), c.allow) << c.path;
    EXPECT_EQ(ErrorMember(response.body, "code").as_string(), "method_not_allowed");
  }
}

TEST_F(RoutesTest, HeadIsServedWhereGetIs) {
  for (const Route& route : Routes()) {
    if (route.method != Method::kGet || absl::StrContains(route.path, "{")) continue;
    EXPECT_EQ(Ask(Method::kHead, route.path).status, 200) << route.path;
  }
}

TEST_F(RoutesTest, TheDocumentDescribesEveryRoute) {
  const json::object& paths = OpenApiDocument().at("paths").as_object();
  EXPECT_EQ(paths.size(), Routes().size());
  for (const Route& route : Routes()) {
    ASSERT_TRUE(paths.contains(route.path)) << route.path;
    const char* name = route.method == Method::kGet      ? "get"
                       : route.method == Method::kDelete ? "delete"
                                                         : "post";
    EXPECT_TRUE(paths.at(route.path).as_object().contains(name)) << route.path;
  }
  EXPECT_EQ(json::parse(Ask(Method::kGet, "/openapi.json").body), json::value(OpenApiDocument()));
}

TEST_F(RoutesTest, ModelsAreWhatTheWorkersServe) {
  const json::value list = json::parse(Ask(Method::kGet, "/v1/models").body);
  EXPECT_EQ(list.at("object").as_string(), "list");
  ASSERT_EQ(list.at("data").as_array().size(), 1u);
  const json::value& model = list.at("data").at(0);
  EXPECT_EQ(model.at("id").as_string(), "fake");
  EXPECT_EQ(model.at("object").as_string(), "model");
  EXPECT_EQ(model.at("owned_by").as_string(), "skein");
  EXPECT_TRUE(model.at("created").is_int64());
  EXPECT_EQ(model.at("max_prompt_tokens").to_number<uint32_t>(),
            FakeModelInfo("fake").max_prompt_tokens());
  EXPECT_TRUE(model.at("merged_adapter").is_null());
  EXPECT_EQ(json::parse(Ask(Method::kGet, "/v1/models/fake").body), model);
}

TEST_F(RoutesTest, WhatIsRegisteredIsListedWithItsModel) {
  worker_.UseRegistry();
  worker_.ChangeRegistry([](FakeRegistry& registry) {
    v1::LoadStateRequest request;
    request.set_name("old pirate");
    request.set_path("p.pth");
    EXPECT_TRUE(registry.LoadState(request).ok());
  });
  for (int i = 0; i < 1000 && pool_.Entries("fake").empty(); ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  const json::value list = json::parse(Ask(Method::kGet, "/v1/models").body);
  ASSERT_EQ(list.at("data").as_array().size(), 2u);
  EXPECT_EQ(list.at("data").at(0).at("kind").as_string(), "model");
  const json::value& state = list.at("data").at(1);
  EXPECT_EQ(state.at("id").as_string(), "fake old pirate");
  EXPECT_EQ(state.at("kind").as_string(), "state");
  EXPECT_EQ(state.at("base_model").as_string(), "fake");
  EXPECT_EQ(json::parse(Ask(Method::kGet, "/v1/models/fake old pirate").body), state);
  EXPECT_EQ(Ask(Method::kGet, "/v1/models/fake old").status, 404);
}

TEST_F(RoutesTest, AModelNameMayContainSlashes) {
  worker_.SetModels({FakeModelInfo("org/model")});
  HttpResponse response;
  for (int i = 0; i < 1000 && response.body.find("org/model") == std::string::npos; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
    response = Ask(Method::kGet, "/v1/models");
  }
  response = Ask(Method::kGet, "/v1/models/org/model");
  EXPECT_EQ(response.status, 200) << response.body;
}

TEST_F(RoutesTest, AnUnknownModelIs404) {
  const HttpResponse response = Ask(Method::kGet, "/v1/models/gpt-4");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(ErrorMember(response.body, "code").as_string(), "model_not_found");
  EXPECT_EQ(ErrorMember(response.body, "param").as_string(), "model");
  EXPECT_TRUE(absl::StrContains(response.body, "gpt-4"));
}

TEST_F(RoutesTest, HealthIsTheProcessAndReadinessTheWorkers) {
  EXPECT_EQ(Ask(Method::kGet, "/readyz").status, 200);
  worker_.SetDraining(true);
  ASSERT_TRUE(WaitUntilReady(false));
  const HttpResponse response = Ask(Method::kGet, "/readyz");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(Header(response, "Retry-After"), "1");
  EXPECT_EQ(Ask(Method::kGet, "/healthz").status, 200);
}

TEST_F(RoutesTest, WhileDrainingOnlyProbesAreServed) {
  context_.phase = GatewayPhase::kDraining;
  EXPECT_EQ(Ask(Method::kGet, "/readyz").status, 503);
  for (const char* path : {"/healthz", "/startupz", "/metrics"}) {
    EXPECT_EQ(Ask(Method::kGet, path).status, 200) << path;
  }
  const HttpResponse response = Ask(Method::kPost, "/v1/chat/completions", "{}");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(Header(response, "Retry-After"), "1");
  EXPECT_EQ(ErrorMember(response.body, "code").as_string(), "draining");
  EXPECT_TRUE(absl::StrContains(registry_.Text(),
                                R"(skein_gateway_refused_requests_total{reason="draining"} 1)"));
}

TEST_F(RoutesTest, StartupIsOverOnceAllListenersAreOpen) {
  context_.phase = GatewayPhase::kStarting;
  EXPECT_EQ(Ask(Method::kGet, "/startupz").status, 503);
  EXPECT_EQ(Ask(Method::kGet, "/healthz").status, 200);
  context_.phase = GatewayPhase::kServing;
  EXPECT_EQ(Ask(Method::kGet, "/startupz").status, 200);
}

TEST_F(RoutesTest, HealthFailsWhenAThreadIsStuck) {
  FakeClock clock;
  context_.heartbeats = std::make_shared<Heartbeats>(clock);
  const auto pulse = context_.heartbeats->Add("skein-http-7");
  clock.Advance(absl::Seconds(9));
  clock.Set(absl::Hours(1));
  EXPECT_EQ(Ask(Method::kGet, "/healthz").status, 200);
  clock.Set(-absl::Hours(2));
  clock.Advance(absl::Seconds(2));
  const HttpResponse response = Ask(Method::kGet, "/healthz");
  EXPECT_EQ(response.status, 500);
  EXPECT_TRUE(absl::StrContains(response.body, "skein-http-7")) << response.body;
  pulse->Beat();
  EXPECT_EQ(Ask(Method::kGet, "/healthz").status, 200);
}

TEST_F(RoutesTest, TheProbeListenerHasProbesAndMetricsAlone) {
  for (const Route& route : Routes()) {
    HttpRequest request;
    request.method = route.method;
    request.path = route.path;
    const auto out = std::make_shared<RecordingResponder>();
    HandleProbe(request, context_, out);
    ASSERT_TRUE(out->WaitForAnswer()) << route.path;
    const std::string path = route.path;
    const bool probe =
        path == "/healthz" || path == "/readyz" || path == "/startupz" || path == "/metrics";
    EXPECT_EQ(out->response().status, probe ? 200 : 404) << route.path;
  }
}

TEST_F(RoutesTest, MetricsCountAnswersByRoute) {
  Ask(Method::kGet, "/v1/models/none");
  Ask(Method::kGet, "/nowhere");
  const HttpResponse response = Ask(Method::kGet, "/metrics");
  EXPECT_EQ(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_TRUE(absl::StrContains(
      response.body, R"(skein_gateway_requests_total{route="/v1/models/{id}",status="404"} 1)"))
      << response.body;
  EXPECT_TRUE(absl::StrContains(response.body,
                                R"(skein_gateway_requests_total{route="other",status="404"} 1)"));
}

TEST_F(RoutesTest, AnswersOfEachRouteAreCountedFromZero) {
  ExpectRequests(metrics_);
  const std::string text = registry_.Text();
  const auto at_zero = [&text](absl::string_view route, int status) {
    return absl::StrContains(text, absl::StrCat("skein_gateway_requests_total{route=\"", route,
                                                "\",status=\"", status, "\"} 0"));
  };
  for (const Route& route : Routes()) {
    for (const int status : {200, 500, 503}) {
      EXPECT_TRUE(at_zero(route.path, status)) << route.path << " " << status;
    }
    EXPECT_EQ(at_zero(route.path, 401), route.role != Role::kOpen) << route.path;
    EXPECT_EQ(at_zero(route.path, 504), route.role == Role::kInference) << route.path;
  }
  EXPECT_TRUE(at_zero("other", 404));
}

TEST_F(RoutesTest, TokenizeAndDetokenizeAreInverse) {
  const json::value tokens =
      json::parse(Ask(Method::kPost, "/v1/tokenize",
                      R"({"model":"fake","prompt":"Hi!","return_token_strs":true})")
                      .body);
  EXPECT_EQ(json::serialize(tokens),
            R"({"model":"fake","count":3,"tokens":[72,105,33],"token_strs":["H","i","!"]})");
  const HttpResponse text =
      Ask(Method::kPost, "/v1/detokenize", R"({"model":"fake","tokens":[72,105,33]})");
  EXPECT_EQ(text.body, R"({"model":"fake","text":"Hi!"})");
  EXPECT_EQ(Ask(Method::kPost, "/v1/tokenize", R"({"model":"fake","text":""})").body,
            R"({"model":"fake","count":0,"tokens":[]})");
}

TEST_F(RoutesTest, ErrorsOfTokenizeNameTheField) {
  worker_.OnTokenize([](const v1::TokenizeRequest& request) {
    return absl::InvalidArgumentError(request.prompt().has_chat() ? "prompt.chat: no format"
                                                                  : "prompt: no tokenizer");
  });
  worker_.OnDetokenize([](const v1::DetokenizeRequest&) {
    return absl::InvalidArgumentError("ids: token 9 is unknown");
  });
  const HttpResponse text = Ask(Method::kPost, "/v1/tokenize", R"({"model":"fake","prompt":"a"})");
  EXPECT_EQ(text.status, 400);
  EXPECT_EQ(ErrorMember(text.body, "param").as_string(), "prompt");
  const HttpResponse chat = Ask(Method::kPost, "/v1/tokenize",
                                R"({"model":"fake","messages":[{"role":"user","content":"a"}]})");
  EXPECT_EQ(ErrorMember(chat.body, "param").as_string(), "messages");
  const HttpResponse ids = Ask(Method::kPost, "/v1/detokenize", R"({"model":"fake","tokens":[9]})");
  EXPECT_EQ(ErrorMember(ids.body, "param").as_string(), "tokens");
  EXPECT_EQ(Ask(Method::kPost, "/v1/detokenize", R"({"model":"gpt","tokens":[9]})").status, 404);
}

TEST_F(RoutesTest, ACompressedBodyIsRefused) {
  headers_ = {{"content-encoding", "gzip"}};
  const HttpResponse response = Ask(Method::kPost, "/v1/tokenize", "\x1f\x8b");
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(absl::StrContains(response.body, "content-encoding"));
}

}  // namespace
}  // namespace skein
