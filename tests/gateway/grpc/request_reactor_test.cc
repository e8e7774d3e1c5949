#include "gateway/grpc/request_reactor.h"

#include <string>

#include "absl/strings/numbers.h"
#include "gmock/gmock.h"

#include "common/config/text_proto.h"
#include "tests/gateway/grpc/front_fixture.h"
#include "tests/testing/test_keys.h"
#include "tests/testing/upload_flood.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kMiB = 1 << 20;

class RequestReactorTest : public FrontTest {
 protected:
  void SetKeys(const std::string& text) {
    config::v1::KeysFile keys;
    ASSERT_TRUE(ParseTextProto(text, "keys", keys).ok());
    ASSERT_TRUE(access_.SetKeys(keys).ok());
  }
  UploadFloodOptions Uploads(const std::string& key) {
    UploadFloodOptions options{
        .streams = 1, .key = key, .declared_bytes = 8 * kMiB, .sent_bytes = 4 * kMiB};
    const std::string& address = server().address();
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &options.port));
    return options;
  }
  double Requests(int status) {
    return metrics_registry_
        .AddCounter(
            "skein_gateway_requests_total", "Answered requests by route and status.",
            {{"route", "/skein.v1.InferenceService/Generate"}, {"status", std::to_string(status)}})
        .Value();
  }
};

TEST_F(RequestReactorTest, NothingIsReadForWhoMayNotCall) {
  SetKeys(TestKey("alpha", "role: 'inference'") + TestKey("beta", "role: 'metrics'"));
  for (const char* key : {"", "omega", "beta"}) {
    SCOPED_TRACE(key);
    const UploadFlood flood(Uploads(key));
    EXPECT_TRUE(Eventually([&] { return flood.num_ended() == 1; }));
    EXPECT_LE(flood.sent_bytes(), 65536u);
  }
  const UploadFlood flood(Uploads("alpha"));
  EXPECT_TRUE(Eventually([&] { return flood.sent_bytes() == 4 * kMiB; }));
  EXPECT_EQ(flood.num_ended(), 0);
}

TEST_F(RequestReactorTest, WhatDoesNotComeInTimeIsCutOff) {
  config().mutable_limits()->set_read_timeout_s(1);
  const UploadFlood flood(Uploads(""));
  EXPECT_TRUE(Eventually([&] { return flood.num_ended() == 1; }));
  EXPECT_EQ(flood.sent_bytes(), 4 * kMiB);
  EXPECT_TRUE(Eventually([&] { return Requests(504) == 1; }));
}

TEST_F(RequestReactorTest, WhoFindsNoRoomIsToldToComeAgain) {
  config().mutable_limits()->set_max_body_bytes(16 * kMiB);
  config().mutable_limits()->set_max_upload_bytes(16 * kMiB);
  const UploadFlood flood(Uploads(""));
  EXPECT_TRUE(Eventually([&] { return flood.sent_bytes() == 4 * kMiB; }));
  const Received refused = Generate();
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("being read"));
}

TEST_F(RequestReactorTest, RoomIsFreeAgainAfterEachCall) {
  config().mutable_limits()->set_max_upload_bytes(16 * kMiB);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Generate().status.ok());
  {
    const UploadFlood flood(Uploads(""));
    EXPECT_TRUE(Eventually([&] { return flood.sent_bytes() == 4 * kMiB; }));
  }  // has left
  EXPECT_TRUE(Eventually([this] { return Generate().status.ok(); }));
  EXPECT_TRUE(Eventually([&] { return Requests(499) == 1; }));
  Script(Endless());
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));  // the worker has the request
  const UploadFlood another(Uploads(""));
  EXPECT_TRUE(Eventually([&] { return another.sent_bytes() == 4 * kMiB; }));
  context.TryCancel();
}

TEST_F(RequestReactorTest, WhoWaitsForRoomMayLeave) {
  config().mutable_limits()->set_max_upload_bytes(16 * kMiB);
  const UploadFlood flood(Uploads(""));
  EXPECT_TRUE(Eventually([&] { return flood.sent_bytes() == 4 * kMiB; }));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(100)));
  EXPECT_EQ(Generate(context).status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([&] { return Requests(499) == 1; }));
}

// gRPC would read all of it before it says that it is too long.
TEST_F(RequestReactorTest, WhatClaimsToBeLongIsNotReadToItsEnd) {
  config().mutable_limits()->set_max_body_bytes(kMiB);
  UploadFloodOptions long_one = Uploads("");
  long_one.declared_bytes = 0xffffff00;
  long_one.sent_bytes = long_one.declared_bytes;
  const UploadFlood flood(long_one);
  EXPECT_TRUE(Eventually([&] { return flood.num_ended() == 1; }));
  EXPECT_LT(flood.sent_bytes(), uint64_t{1} << 30);
  EXPECT_TRUE(Eventually([&] { return Requests(429) == 1; }));
}

TEST_F(RequestReactorTest, CompressedRequestsAreNotUnpacked) {
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::GenerateRequest request = SomeRequest();
  request.mutable_prompt()->set_text(std::string(100000, 'a'));
  EXPECT_EQ(Generate(context, request).status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(num_calls(), 0u);
}

TEST_F(RequestReactorTest, ACallWithoutARequestIsInvalid) {
  UploadFloodOptions nothing = Uploads("");
  nothing.half_close = true;
  nothing.sent_bytes = 0;
  const UploadFlood flood(nothing);
  EXPECT_TRUE(Eventually([&] { return Requests(400) == 1; }));
}

}  // namespace
}  // namespace skein
