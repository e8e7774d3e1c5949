// Who may call RWKV-Infer's API.
#include <string>

#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "gtest/gtest.h"

#include "common/config/text_proto.h"
#include "tests/gateway/rwkv_infer/infer_fixture.h"
#include "tests/testing/test_keys.h"

namespace skein {
namespace {

class InferAccessTest : public InferTest {
 protected:
  void SetUp() override {
    InferTest::SetUp();
    config::v1::KeysFile keys;
    ASSERT_TRUE(ParseTextProto(TestKey("alpha", "role: 'inference'") +
                                   TestKey("gamma", "role: 'admin'") +
                                   TestKey("delta", "role: 'admin' model: 'other'"),
                               "keys", keys)
                    .ok());
    ASSERT_TRUE(access_.SetKeys(keys).ok());
  }

  int StatusOf(const std::string& key, const std::string& path, const std::string& body) {
    headers_ = {{"authorization", absl::StrCat("Bearer ", key)}};
    return Post(path, body).status;
  }
};

constexpr char kChat[] = R"({"model":"fake","messages":[{"role":"user","content":"hi"}]})";
constexpr char kLoad[] = R"({"model_filename":"m","model_viewname":"m"})";

TEST_F(InferAccessTest, ALoopbackAddressNeedsNoKey) {
  EXPECT_EQ(Post("/chat/completions", kChat).status, 200);
  EXPECT_EQ(Post("/loadmodel", kLoad).status, 200);
}

TEST_F(InferAccessTest, EveryRouteOfAnotherAddressAsksForAKeyWithItsRole) {
  context_.config.set_rwkv_infer_listen("0.0.0.0:9000");
  for (const Route& route : RwkvInferRoutes()) {
    SCOPED_TRACE(route.path);
    headers_.clear();
    const bool open = route.role == Role::kOpen;
    EXPECT_EQ(Start(route.method, route.path, "{}")->response().status, open ? 200 : 401);
    headers_ = {{"authorization", "Bearer alpha"}};
    if (route.role == Role::kAdmin) {
      EXPECT_EQ(Start(route.method, route.path, "{}")->response().status, 403);
    }
    headers_ = {{"authorization", "Bearer gamma"}};
    if (route.role == Role::kInference) {
      EXPECT_EQ(Start(route.method, route.path, "{}")->response().status, 403);
    }
  }
}

TEST_F(InferAccessTest, AnyOtherAddressNeedsKeysWithTheRole) {
  context_.config.set_rwkv_infer_listen("0.0.0.0:9000");
  EXPECT_EQ(Get("/healthcheck").body, R"({"message":"ok","status_code":200})");
  EXPECT_EQ(Post("/chat/completions", kChat).status, 401);
  EXPECT_EQ(Get("/models").status, 401);
  EXPECT_EQ(StatusOf("alpha", "/chat/completions", kChat), 200);
  EXPECT_EQ(StatusOf("alpha", "/loadmodel", kLoad), 403);
  EXPECT_EQ(StatusOf("alpha", "/removestatemodel", "{}"), 403);
  EXPECT_EQ(StatusOf("delta", "/removemodel", "{}"), 403);
  EXPECT_EQ(StatusOf("gamma", "/loadmodel", kLoad), 200);
}

TEST_F(InferAccessTest, PagesOfOthersAreRefusedWhereNoKeyIsNeeded) {
  headers_ = {{"origin", "https://evil.example"}};
  const HttpResponse response = Post("/removemodel", "");
  EXPECT_EQ(response.status, 403);
  EXPECT_TRUE(boost::json::parse(response.body).as_object().contains("detail"));
  context_.config.add_cors_origin("https://evil.example");
  EXPECT_EQ(Post("/chat/completions", kChat).status, 200);
}

TEST_F(InferAccessTest, LargeBodiesWithoutAKeyAreRefusedUnread) {
  context_.config.set_rwkv_infer_listen("0.0.0.0:9000");
  HttpRequest request;
  request.method = Method::kPost;
  request.path = "/chat/completions";
  const auto refusal = RefuseRwkvInferByHead(request, context_);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->status, 401);
  EXPECT_TRUE(boost::json::parse(refusal->body).as_object().contains("detail"));
  context_.config.set_rwkv_infer_listen("[::1]:9000");
  EXPECT_FALSE(RefuseRwkvInferByHead(request, context_).has_value());
}

TEST_F(InferAccessTest, OtherPathsAre404) {
  EXPECT_EQ(Post("/fjdkgmzak9sd/sksf_appkill", "{}").status, 404);
  EXPECT_EQ(Get("/loadmodel").status, 405);
}

}  // namespace
}  // namespace skein
