// RWKV-Infer's API without its HTTP server: requests go straight to HandleRwkvInfer, calls to fake
// workers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "boost/json/parse.hpp"
#include "boost/json/value.hpp"
#include "gtest/gtest.h"

#include "gateway/rpc/inference_client.h"
#include "gateway/rwkv_infer/routes.h"
#include "tests/gateway/endpoints/recording_responder.h"
#include "tests/testing/fake_worker.h"

namespace skein {

class InferTest : public testing::Test {
 protected:
  InferTest() {
    config::v1::LimitsConfig& limits = *context_.config.mutable_limits();
    limits.set_request_timeout_s(600);
    limits.set_max_choices(16);
    limits.set_max_json_depth(32);
    context_.config.set_rwkv_infer_listen("127.0.0.1:9000");
    for (FakeWorker* worker : {&a_, &b_}) worker->UseRegistry();
  }
  ~InferTest() override { EXPECT_TRUE(WaitForCalls(absl::Seconds(20))); }

  void SetUp() override {
    ASSERT_TRUE(WaitUntil([&] {
      return pool_.NumServing("fake", {a_.address(), b_.address()}) == 2;
    }));
  }

  static bool WaitUntil(const std::function<bool()>& condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) absl::SleepFor(absl::Milliseconds(10));
    return condition();
  }

  std::shared_ptr<RecordingResponder> Start(Method method, const std::string& path,
                                            const std::string& body) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.headers = headers_;
    request.request_id = "req-test";
    request.received = absl::Now();
    auto out = std::make_shared<RecordingResponder>();
    HandleRwkvInfer(request, context_, out);
    return out;
  }

  HttpResponse Post(const std::string& path, const std::string& body) {
    const auto out = Start(Method::kPost, path, body);
    EXPECT_TRUE(out->WaitForAnswer()) << path;
    return out->response();
  }
  HttpResponse Get(const std::string& path) { return Start(Method::kGet, path, "")->response(); }

  // Of an answer that should be a success.
  static boost::json::value Success(const HttpResponse& response) {
    EXPECT_EQ(response.status, 200) << response.body;
    boost::json::value body = boost::json::parse(response.body);
    const auto* status = body.as_object().if_contains("status");
    EXPECT_TRUE(status == nullptr || *status == "success") << response.body;
    return body;
  }

  FakeWorker a_{"fake"};
  FakeWorker b_{"fake"};
  std::vector<std::pair<std::string, std::string>> headers_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  WorkerPool pool_{{a_.address(), b_.address()}};
  AccessControl access_{Clock::Real(), metrics_};
  GatewayContext context_{pool_, metrics_, registry_, {}, Clock::Real(), access_};
};

}  // namespace skein
