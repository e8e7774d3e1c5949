// A gateway without its HTTP server: requests go straight to HandleRequest, calls to a fake worker.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "boost/json/parse.hpp"
#include "gtest/gtest.h"

#include "gateway/endpoints/gateway_context.h"
#include "gateway/rpc/inference_client.h"
#include "tests/gateway/endpoints/recording_responder.h"
#include "tests/testing/fake_worker.h"

namespace skein {

class EndpointTest : public testing::Test {
 protected:
  EndpointTest() {
    config::v1::LimitsConfig& limits = *context_.config.mutable_limits();
    limits.set_request_timeout_s(600);
    limits.set_max_choices(16);
    limits.set_max_json_depth(32);
  }
  ~EndpointTest() override { EXPECT_TRUE(WaitForCalls(absl::Seconds(20))); }

  void SetUp() override { ASSERT_TRUE(WaitUntilReady(true)); }

  bool WaitUntilReady(bool ready) {
    for (int i = 0; i < 2000 && pool_.Ready() != ready; ++i) absl::SleepFor(absl::Milliseconds(10));
    return pool_.Ready() == ready;
  }

  // The answer may still be coming.
  std::shared_ptr<RecordingResponder> Start(Method method, const std::string& path,
                                            const std::string& body = "") {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.headers = headers_;
    request.request_id = "req-test";
    request.trace = ContinueTrace(request.Header("traceparent"));
    request.received = absl::Now();
    record_ = request.access;
    auto out = std::make_shared<RecordingResponder>();
    HandleRequest(request, context_, out);
    return out;
  }

  // The whole answer.
  HttpResponse Ask(Method method, const std::string& path, const std::string& body = "") {
    const auto out = Start(method, path, body);
    EXPECT_TRUE(out->WaitForAnswer()) << path;
    EXPECT_EQ(out->num_answers(), 1);
    return out->response();
  }

  static std::string Header(const HttpResponse& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }

  // `member` of the error object of a body.
  static boost::json::value ErrorMember(const std::string& body, const char* member) {
    return boost::json::parse(body).at("error").at(member);
  }

  FakeWorker worker_{"fake"};
  std::vector<std::pair<std::string, std::string>> headers_;
  std::shared_ptr<AccessRecord> record_;  // of the last request
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  WorkerPool pool_{{worker_.address()}};
  AccessControl access_{Clock::Real(), metrics_};
  GatewayContext context_{pool_, metrics_, registry_, {}, Clock::Real(), access_};
};

}  // namespace skein
