// Keys, roles, lists, limits and origins, for every route.
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "boost/json/array.hpp"
#include "gtest/gtest.h"

#include "common/config/text_proto.h"
#include "gateway/endpoints/routes.h"
#include "tests/gateway/endpoints/endpoint_fixture.h"
#include "tests/testing/test_keys.h"

namespace skein {
namespace {

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kChatBody[] = R"({"model":"fake","messages":[{"role":"user","content":"hi"}]})";
constexpr char kStreamBody[] =
    R"({"model":"fake","messages":[{"role":"user","content":"hi"}],"stream":true})";

// What needs no key.
constexpr const char* kOpenRoutes[] = {"/healthz", "/readyz", "/startupz", "/openapi.json"};

class AccessTest : public EndpointTest {
 protected:
  void SetKeys(const std::string& text) {
    config::v1::KeysFile keys;
    ASSERT_TRUE(ParseTextProto(text, "keys", keys).ok());
    ASSERT_TRUE(access_.SetKeys(keys).ok());
  }
  void UseKey(const std::string& text) { headers_ = {{"authorization", "Bearer " + text}}; }
  HttpResponse AskChat() { return Ask(Method::kPost, kChat, kChatBody); }
};

std::string PathOf(const Route& route) {
  return absl::StrReplaceAll(route.path, {{"{id}", "fake"}});
}

TEST_F(AccessTest, EveryRouteAsksForItsRole) {
  SetKeys(TestKey("alpha", "role: 'inference'") + TestKey("beta", "role: 'metrics'") +
          TestKey("gamma", "role: 'admin'") +
          TestKey("delta",
                  "role: 'inference' role: 'metrics' role: 'admin' "
                  "expires: '2020-01-01T00:00:00Z'"));
  const std::vector<std::pair<std::string, Role>> good = {
      {"alpha", Role::kInference}, {"beta", Role::kMetrics}, {"gamma", Role::kAdmin}};
  int closed = 0;
  for (const Route& route : Routes()) {
    SCOPED_TRACE(route.path);
    const bool open = route.role == Role::kOpen;
    if (!open) ++closed;
    for (const char* none : {"", "omega", "delta"}) {  // no key, a wrong one, an expired one
      UseKey(none);
      if (none[0] == '\0') headers_.clear();
      const HttpResponse response = Ask(route.method, PathOf(route), "{}");
      EXPECT_EQ(response.status == 401, !open) << none;
      if (open) continue;
      EXPECT_EQ(Header(response, "WWW-Authenticate"), "Bearer");
      EXPECT_EQ(ErrorMember(response.body, "code").as_string(), "invalid_api_key");
      EXPECT_EQ(ErrorMember(response.body, "type").as_string(), "invalid_request_error");
    }
    for (const auto& [key, role] : good) {
      UseKey(key);
      const int status = Ask(route.method, PathOf(route), "{}").status;
      EXPECT_NE(status, 401) << key;
      EXPECT_EQ(status == 403, !open && role != route.role) << key;
    }
  }
  // What is open is so on purpose.
  EXPECT_EQ(Routes().size() - closed, std::size(kOpenRoutes));
  for (const char* path : kOpenRoutes) {
    headers_.clear();
    EXPECT_NE(Ask(Method::kGet, path).status, 401) << path;
  }
}

TEST_F(AccessTest, LargeBodiesAreReadForKeysAlone) {
  SetKeys(TestKey("alpha", "role: 'inference'") + TestKey("beta", "role: 'metrics'"));
  const auto refusal = [&](Method method, const std::string& path, const std::string& key) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.headers = {{"authorization", "Bearer " + key}};
    const auto response = RefuseByHead(request, context_);
    return response.has_value() ? response->status : 0;
  };
  for (const Route& route : Routes()) {
    SCOPED_TRACE(route.path);
    const bool takes_body = route.method == Method::kPost;
    EXPECT_EQ(refusal(route.method, PathOf(route), "omega"), takes_body ? 401 : 413);
    EXPECT_EQ(refusal(route.method, PathOf(route), "beta"), takes_body ? 403 : 413);
    const int of_alpha = route.role == Role::kInference ? 0 : 403;
    EXPECT_EQ(refusal(route.method, PathOf(route), "alpha"), takes_body ? of_alpha : 413);
  }
  EXPECT_EQ(refusal(Method::kPost, "/nowhere", "alpha"), 404);
  EXPECT_EQ(refusal(Method::kPut, kChat, "alpha"), 405);
}

TEST_F(AccessTest, WrongAndExpiredKeysGetTheSameAnswer) {
  SetKeys(TestKey("alpha", "role: 'inference' expires: '2020-01-01T00:00:00Z'"));
  UseKey("alpha");
  const HttpResponse expired = AskChat();
  UseKey("omega");
  const HttpResponse wrong = AskChat();
  EXPECT_EQ(expired.body, wrong.body);
  EXPECT_EQ(expired.headers, wrong.headers);
}

TEST_F(AccessTest, OnlyListedModelsCanBeUsedAndSeen) {
  worker_.SetModels({FakeModelInfo("fake"), FakeModelInfo("secret")});
  SetKeys(TestKey("alpha", "role: 'inference' model: 'fa*'"));
  UseKey("alpha");
  EXPECT_EQ(AskChat().status, 200);
  for (const char* path : {kChat, "/v1/completions", "/v1/tokenize", "/v1/detokenize"}) {
    const std::string body = absl::StrCat(R"({"model":"secret",)",
                                          absl::StrContains(path, "chat")
                                              ? R"("messages":[{"role":"user","content":"a"}]})"
                                          : absl::StrContains(path, "detok") ? R"("tokens":[1]})"
                                                                             : R"("prompt":"a"})");
    const HttpResponse response = Ask(Method::kPost, path, body);
    EXPECT_EQ(response.status, 403) << path << response.body;
    EXPECT_TRUE(absl::StrContains(response.body, "secret"));
    EXPECT_EQ(ErrorMember(response.body, "param").as_string(), "model");
    EXPECT_EQ(ErrorMember(response.body, "type").as_string(), "permission_error");
  }
  EXPECT_EQ(Ask(Method::kGet, "/v1/models/secret").status, 403);
  EXPECT_EQ(Ask(Method::kGet, "/v1/models/nothing").status, 403);  // no telling what there is
  const boost::json::value list = boost::json::parse(Ask(Method::kGet, "/v1/models").body);
  ASSERT_EQ(list.at("data").as_array().size(), 1u);
  EXPECT_EQ(list.at("data").at(0).at("id").as_string(), "fake");
}

TEST_F(AccessTest, RequestsBeyondTheLimitAre429WithItsNumbers) {
  SetKeys(TestKey("alpha", "role: 'inference' requests_per_minute: 2"));
  UseKey("alpha");
  HttpResponse response = AskChat();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(Header(response, "x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(Header(response, "x-ratelimit-remaining-requests"), "1");
  EXPECT_EQ(Header(response, "x-ratelimit-limit-tokens"), "");
  EXPECT_EQ(Ask(Method::kPost, "/v1/tokenize", R"({"model":"fake","prompt":"a"})").status, 200);
  response = AskChat();
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(Header(response, "Retry-After"), "30");
  EXPECT_EQ(Header(response, "x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(ErrorMember(response.body, "type").as_string(), "rate_limit_error");
  EXPECT_EQ(ErrorMember(response.body, "code").as_string(), "rate_limit_exceeded");
  EXPECT_EQ(Ask(Method::kGet, "/v1/models").status, 200);  // looking costs nothing
  EXPECT_EQ(worker_.calls().size(), 1u);
}

TEST_F(AccessTest, TokensAreChargedAsUsed) {
  SetKeys(TestKey("alpha", "role: 'inference' tokens_per_minute: 6000"));
  UseKey("alpha");
  // Two bytes of text and four of a role are two tokens at a guess; the answer uses 3 + 3.
  const HttpResponse first =
      Ask(Method::kPost, kChat,
          R"({"model":"fake","messages":[{"role":"user","content":"hi"}],"max_tokens":5000})");
  EXPECT_EQ(Header(first, "x-ratelimit-limit-tokens"), "6000");
  EXPECT_EQ(Header(first, "x-ratelimit-remaining-tokens"), "998");
  const HttpResponse second = AskChat();
  EXPECT_EQ(second.status, 200);
  EXPECT_GE(std::stoi(Header(second, "x-ratelimit-remaining-tokens")), 6000 - 6 - 18);
  const HttpResponse third =
      Ask(Method::kPost, kChat,
          R"({"model":"fake","messages":[{"role":"user","content":"hi"}],"max_tokens":6000})");
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(Header(third, "Retry-After"), "");
  EXPECT_EQ(Header(third, "x-should-retry"), "false");
}

TEST_F(AccessTest, AStreamCarriesTheNumbersAndEndsBeforeTheNextRequest) {
  SetKeys(TestKey("alpha", "role: 'inference' max_parallel: 1 requests_per_minute: 1000"));
  UseKey("alpha");
  for (int i = 0; i < 20; ++i) {
    const auto out = Start(Method::kPost, kChat, kStreamBody);
    ASSERT_TRUE(out->WaitForAnswer());
    ASSERT_TRUE(out->closed()) << out->response().body;
    EXPECT_EQ(out->headers().at(0).first, "x-ratelimit-limit-requests");
  }
}

TEST_F(AccessTest, ParallelRequestsAreLimitedUntilTheyEnd) {
  worker_.OnGenerate([](const v1::GenerateRequest&) {
    FakeGeneration generation = SayPieces({"a", "b"});
    generation.steps.pop_back();
    generation.delay_before_end = absl::InfiniteDuration();
    return generation;
  });
  SetKeys(TestKey("alpha", "role: 'inference' max_parallel: 2 tokens_per_minute: 60000"));
  UseKey("alpha");
  const auto first = Start(Method::kPost, kChat, kStreamBody);
  const auto second = Start(Method::kPost, kChat, kStreamBody);
  ASSERT_TRUE(first->WaitForEvents(1));
  ASSERT_TRUE(second->WaitForEvents(1));
  const HttpResponse third = AskChat();
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(Header(third, "Retry-After"), "1");
  first->Leave();
  ASSERT_TRUE(worker_.WaitForCancelled(1));
  std::shared_ptr<RecordingResponder> fourth;
  for (int i = 0; i < 500 && (fourth == nullptr || fourth->response().status == 429); ++i) {
    absl::SleepFor(absl::Milliseconds(10));
    fourth = Start(Method::kPost, kChat, kStreamBody);
  }
  EXPECT_TRUE(fourth->WaitForEvents(1));
  second->Leave();
  fourth->Leave();
  ASSERT_TRUE(worker_.WaitForCancelled(3));
  // Three prompts of 3 tokens and three tokens drawn were used, whatever was reserved before.
  const auto left = [this] {
    return std::stoi(
        access_.RateLimitHeaders(*access_.Identify("Bearer alpha", Role::kInference)).at(1).second);
  };
  for (int i = 0; i < 500 && left() < 60000 - 12; ++i) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_GE(left(), 60000 - 12);
}

// 4000 bytes of prompts are 1000 tokens at a guess.
TEST_F(AccessTest, WhoGivesUpBeforeTheFirstTokenPaysForThePrompts) {
  worker_.OnGenerate([](const v1::GenerateRequest&) {
    FakeGeneration generation = SayPieces({"late"});
    generation.steps.resize(1);  // `started`, and a prefill without an end
    generation.delay_before_end = absl::InfiniteDuration();
    return generation;
  });
  SetKeys(TestKey("alpha", "role: 'inference' tokens_per_minute: 6000"));
  UseKey("alpha");
  const std::string half(2000, 'x');
  const std::string body = absl::StrCat(
      R"({"model":"fake","max_tokens":5,"stream":true,"prompt":[")", half, "\",\"", half, R"("]})");
  const auto left = [this] {
    return std::stoi(
        access_.RateLimitHeaders(*access_.Identify("Bearer alpha", Role::kInference)).at(1).second);
  };
  const auto leaves = Start(Method::kPost, "/v1/completions", body);
  ASSERT_TRUE(worker_.WaitForRunning(2));
  leaves->Leave();
  ASSERT_TRUE(worker_.WaitForCancelled(2));
  ASSERT_TRUE(WaitForCalls(absl::Seconds(5)));
  EXPECT_GE(left(), 5000);
  EXPECT_LE(left(), 5500) << "what flowed back since included";
  headers_.emplace_back("x-request-timeout-ms", "200");
  EXPECT_EQ(Ask(Method::kPost, "/v1/completions", body).status, 504);
  ASSERT_TRUE(WaitForCalls(absl::Seconds(5)));
  EXPECT_LE(left(), 4600);
  // A worker that refuses has done nothing.
  worker_.OnGenerate([](const v1::GenerateRequest&) {
    FakeGeneration full;
    full.status = absl::ResourceExhaustedError("the queue is full");
    return full;
  });
  const int before = left();
  headers_.pop_back();
  EXPECT_EQ(Ask(Method::kPost, "/v1/completions", body).status, 429);
  ASSERT_TRUE(WaitForCalls(absl::Seconds(5)));
  EXPECT_GE(left(), before);
}

TEST_F(AccessTest, WithoutOriginsThereIsNoCors) {
  headers_ = {{"origin", "https://a.example"}, {"access-control-request-method", "POST"}};
  const HttpResponse response = Ask(Method::kOptions, kChat);
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(Header(response, "Access-Control-Allow-Origin"), "");
  EXPECT_EQ(Header(response, "Vary"), "");
}

TEST_F(AccessTest, ListedOriginsMayCall) {
  context_.config.add_cors_origin("https://a.example");
  SetKeys(TestKey("alpha", "role: 'inference'"));
  headers_ = {{"origin", "https://a.example"}};
  const HttpResponse response = AskChat();
  EXPECT_EQ(response.status, 401);  // and the page may read why
  EXPECT_EQ(Header(response, "Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_EQ(Header(response, "Vary"), "Origin");
  for (const char* name : {"x-request-id", "retry-after", "x-ratelimit-remaining-tokens"}) {
    EXPECT_TRUE(absl::StrContains(Header(response, "Access-Control-Expose-Headers"), name));
  }
  for (const char* other : {"https://b.example", "https://a.example.org", "null"}) {
    headers_ = {{"origin", other}};
    EXPECT_EQ(Header(AskChat(), "Access-Control-Allow-Origin"), "") << other;
    EXPECT_EQ(Header(AskChat(), "Vary"), "Origin");
  }
}

TEST_F(AccessTest, APreflightNeedsNoKey) {
  context_.config.add_cors_origin("https://a.example");
  SetKeys(TestKey("alpha", "role: 'inference'"));
  headers_ = {{"origin", "https://a.example"},
              {"access-control-request-method", "POST"},
              {"access-control-request-headers", "authorization,content-type,x-stainless-os"}};
  for (const Route& route : Routes()) {
    const HttpResponse response = Ask(Method::kOptions, PathOf(route));
    EXPECT_EQ(response.status, 204) << route.path;
    EXPECT_EQ(Header(response, "Access-Control-Allow-Origin"), "https://a.example");
    EXPECT_EQ(Header(response, "Access-Control-Allow-Methods"), "GET, HEAD, POST, DELETE");
    EXPECT_EQ(Header(response, "Access-Control-Allow-Headers"),
              "authorization,content-type,x-stainless-os");
    EXPECT_EQ(Header(response, "Access-Control-Max-Age"), "600");
  }
  headers_[0].second = "https://b.example";
  EXPECT_EQ(Ask(Method::kOptions, kChat).status, 405);
}

TEST_F(AccessTest, EverybodysPagesMayCallIfTheyAreMeantTo) {
  context_.config.add_cors_origin("*");
  headers_ = {{"origin", "null"}};
  const HttpResponse response = AskChat();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(Header(response, "Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(Header(response, "Vary"), "");
}

}  // namespace
}  // namespace skein
