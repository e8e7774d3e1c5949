#include "gateway/endpoints/errors.h"

#include <string>

#include "boost/json/parse.hpp"
#include "gtest/gtest.h"

#include "common/base/retry_after.h"
#include "gateway/endpoints/utf8.h"
#include "gateway/endpoints/worker_errors.h"

namespace skein {
namespace {

std::string Header(const HttpResponse& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(ErrorsTest, EveryCodeHasItsStatusTypeAndHeaders) {
  struct Case {
    absl::StatusCode code;
    int http;
    const char* type;
    const char* retry_after;
    const char* should_retry;
  };
  for (const Case& c :
       {Case{absl::StatusCode::kInvalidArgument, 400, "invalid_request_error", "", ""},
        Case{absl::StatusCode::kOutOfRange, 400, "invalid_request_error", "", ""},
        Case{absl::StatusCode::kFailedPrecondition, 400, "invalid_request_error", "", ""},
        Case{absl::StatusCode::kUnauthenticated, 401, "invalid_request_error", "", ""},
        Case{absl::StatusCode::kPermissionDenied, 403, "permission_error", "", ""},
        Case{absl::StatusCode::kNotFound, 404, "not_found_error", "", ""},
        Case{absl::StatusCode::kAlreadyExists, 409, "conflict_error", "", ""},
        Case{absl::StatusCode::kAborted, 409, "conflict_error", "", ""},
        Case{absl::StatusCode::kDataLoss, 422, "unprocessable_entity_error", "", ""},
        Case{absl::StatusCode::kResourceExhausted, 429, "rate_limit_error", "1", ""},
        Case{absl::StatusCode::kInternal, 500, "server_error", "", "false"},
        Case{absl::StatusCode::kUnknown, 500, "server_error", "", "false"},
        Case{absl::StatusCode::kUnimplemented, 501, "server_error", "", "false"},
        Case{absl::StatusCode::kUnavailable, 503, "server_error", "1", ""},
        Case{absl::StatusCode::kCancelled, 503, "server_error", "1", ""},
        Case{absl::StatusCode::kDeadlineExceeded, 504, "server_error", "", "false"}}) {
    const absl::Status status(c.code, "why");
    SCOPED_TRACE(status.ToString());
    const HttpResponse response = ErrorResponse(status, "r1");
    EXPECT_EQ(response.status, c.http);
    EXPECT_EQ(response.content_type, "application/json");
    EXPECT_EQ(Header(response, "Retry-After"), c.retry_after);
    EXPECT_EQ(Header(response, "x-should-retry"), c.should_retry);
    const auto error = boost::json::parse(response.body).at("error");
    EXPECT_EQ(error.at("type").as_string(), c.type);
    EXPECT_TRUE(error.at("param").is_null());
    EXPECT_EQ(error.at("message").as_string(), c.http == 500 ? "why (request r1)" : "why");
  }
}

TEST(ErrorsTest, RetryAfterIsWhatTheErrorSays) {
  const absl::Status full = absl::ResourceExhaustedError("full");
  EXPECT_EQ(Header(ErrorResponse(WithRetryAfter(full, absl::Seconds(7.2)), "r1"), "Retry-After"),
            "8");
  EXPECT_EQ(Header(ErrorResponse(WithRetryAfter(full, absl::ZeroDuration()), "r1"), "Retry-After"),
            "1");
  EXPECT_EQ(
      Header(ErrorResponse(WithRetryAfter(full, absl::InfiniteDuration()), "r1"), "Retry-After"),
      "");
}

TEST(ErrorsTest, TheFirstParamAndCodeStay) {
  const absl::Status status = WithCode(WithParam(FieldError("a.b", "bad"), "c"), "x");
  EXPECT_EQ(status.message(), "a.b: bad");
  const auto error = boost::json::parse(ErrorBody(WithCode(status, "y"), "r1")).at("error");
  EXPECT_EQ(error.at("param").as_string(), "a.b");
  EXPECT_EQ(error.at("code").as_string(), "x");
}

TEST(ErrorsTest, AMessageThatIsNoTextIsStillValidJson) {
  const std::string body = ErrorBody(absl::NotFoundError("/\xFF\"\n"), "r1");
  EXPECT_TRUE(IsValidUtf8(body));
  EXPECT_EQ(boost::json::parse(body).at("error").at("message").as_string(), "/\uFFFD\"\n");
}

TEST(WorkerErrorsTest, TheFieldOfTheWorkersMessageBecomesTheParam) {
  struct Case {
    const char* message;
    const char* param;
  };
  for (const Case& c :
       {Case{"prompt: 5000 tokens, expected at most 4096", "messages"},
        Case{"prompt.chat.turns: none, expected at least one", "messages"},
        Case{"order: 7, expected 0, 1 or 2", "sampling_order"},
        Case{"stop_tokens: token 70000, expected less than 65536", "stop_token_ids"},
        Case{"mix: all weights are 0, expected one that is not", "states"},
        Case{"logit_bias: token 70000, expected less than 65536", "logit_bias"},
        Case{"the model has no chat format", ""}, Case{"Bad thing: it happened", ""}}) {
    EXPECT_EQ(ParamOf(FromWorker(absl::InvalidArgumentError(c.message), "messages")), c.param)
        << c.message;
  }
  EXPECT_EQ(ParamOf(FromWorker(absl::UnavailableError("prompt: x"), "messages")), "");
}

TEST(WorkerErrorsTest, WhatAWorkerDoesNotFindHasItsOwnCode) {
  struct Case {
    const char* message;
    const char* param;
    const char* code;
  };
  for (const Case& c :
       {Case{"state \"pirat\": not registered, expected one of pirate", "state", "state_not_found"},
        Case{"adapter \"word\": not registered", "adapter", "adapter_not_found"},
        Case{"model: \"x\" is not served", "model", "model_not_found"}}) {
    const absl::Status status = FromWorker(absl::NotFoundError(c.message), "prompt");
    const auto error = boost::json::parse(ErrorBody(status, "")).at("error");
    EXPECT_EQ(error.at("param").as_string(), c.param);
    EXPECT_EQ(error.at("code").as_string(), c.code);
  }
  EXPECT_EQ(ParamOf(FromWorker(absl::NotFoundError("nothing"), "prompt")), "");
}

TEST(WorkerErrorsTest, AnUnknownModelHasItsOwnCode) {
  const auto error =
      boost::json::parse(ErrorBody(FromPick(absl::NotFoundError("model: \"x\"")), "")).at("error");
  EXPECT_EQ(error.at("param").as_string(), "model");
  EXPECT_EQ(error.at("code").as_string(), "model_not_found");
}

}  // namespace
}  // namespace skein
