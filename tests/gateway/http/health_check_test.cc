#include "gateway/http/health_check.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/gateway/http/test_server.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

TEST(HealthCheckTest, AsksForReadinessOrForWhatItIsTold) {
  TestServer server([](const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
    HttpResponse response;
    response.status = request.path == "/healthz" ? 200 : 503;
    out->Send(std::move(response));
  });
  const std::string address = absl::StrCat("127.0.0.1:", server.port());
  EXPECT_TRUE(CheckHealth(address + "/healthz", absl::Seconds(10)).ok());
  const absl::Status ready = CheckHealth(address, absl::Seconds(10));
  EXPECT_EQ(ready.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(ready.message()), HasSubstr("answered /readyz with 503, expected 200"));
}

TEST(HealthCheckTest, AnAnswerThatDoesNotComeIsUnavailable) {
  std::shared_ptr<HttpResponder> kept;
  TestServer silent([&kept](const HttpRequest&, std::shared_ptr<HttpResponder> out) {
    kept = std::move(out);  // and no answer
  });
  const absl::Status status =
      CheckHealth(absl::StrCat("127.0.0.1:", silent.port()), absl::Milliseconds(100));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no answer from 127.0.0.1:"));
  silent.server->Stop(absl::ZeroDuration());
  kept.reset();
  EXPECT_EQ(CheckHealth("127.0.0.1:1", absl::Seconds(10)).code(), absl::StatusCode::kUnavailable);
}

TEST(HealthCheckTest, ABadAddressIsAnError) {
  EXPECT_EQ(CheckHealth("nowhere/readyz", absl::Seconds(1)).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace skein
