// Clients that fill the gRPC port with requests that never end.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "skein/v1/inference.grpc.pb.h"
#include "tests/e2e/servers.h"
#include "tests/faults/footprint.h"
#include "tests/testing/fake_worker.h"
#include "tests/testing/test_keys.h"
#include "tests/testing/upload_flood.h"

namespace skein {
namespace {

constexpr uint32_t kMiB = 1 << 20;
constexpr char kLimits[] =
    "limits { max_body_bytes: 16777216 max_upload_bytes: 268435456 read_timeout_s: 5 }";

class UploadFaultsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(keys_file_) << TestKey("alpha", "role: 'inference'")
                              << TestKey("beta", "role: 'inference'");
    auto gateway = GatewayServer::Start(
        {worker_.address()},
        absl::StrCat("grpc_listen: '127.0.0.1:0' keys_file: '", keys_file_, "' ", kLimits));
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    const auto line =
        gateway_->process().WaitForLine("event=\"grpc listening\"", absl::Seconds(10));
    ASSERT_TRUE(line.ok()) << line.status();
    const std::string address = LogField(*line, "address");
    ASSERT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port_));
    stub_ = v1::InferenceService::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(Ask().ok());
    idle_bytes_ = gateway_->process().rss_bytes();
  }
  ~UploadFaultsTest() override { std::filesystem::remove(keys_file_); }

  // One short request of the key "beta".
  grpc::Status Ask() {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer beta");
    context.set_deadline(absl::ToChronoTime(absl::Now() + Patience(5)));
    v1::GenerateRequest request;
    request.set_model("fake");
    request.mutable_prompt()->set_text("hi");
    const auto reader = stub_->Generate(&context, request);
    v1::GenerateResponse message;
    while (reader->Read(&message)) {
    }
    return reader->Finish();
  }

  struct Outcome {
    int64_t most_bytes = 0;  // that the gateway has had more than when it was idle
    int asked = 0;
    int served = 0;
    absl::Duration slowest;
  };
  // Asks again and again while `flood` goes on.
  Outcome Watch(const char* what, const UploadFlood& flood, absl::Duration time) {
    Outcome outcome;
    const absl::Time end = absl::Now() + time;
    std::string error;
    while (absl::Now() < end) {
      const absl::Time begin = absl::Now();
      const grpc::Status status = Ask();
      ++outcome.asked;
      if (status.ok()) {
        ++outcome.served;
      } else {
        error = status.error_message();
      }
      outcome.slowest = std::max(outcome.slowest, absl::Now() - begin);
      for (int i = 0; i < 10; ++i) {
        outcome.most_bytes =
            std::max(outcome.most_bytes, gateway_->process().rss_bytes() - idle_bytes_);
        absl::SleepFor(absl::Milliseconds(5));
      }
    }
    std::cout << what << ": the gateway took " << (outcome.most_bytes >> 20) << " MiB more than "
              << (idle_bytes_ >> 20) << "; " << (flood.sent_bytes() >> 20) << " MiB sent by "
              << flood.num_begun() << " calls, " << flood.num_ended() << " of them ended; "
              << outcome.served << " of " << outcome.asked << " others served, the slowest in "
              << outcome.slowest << " " << error << "\n";
    return outcome;
  }

  const std::string keys_file_ =
      std::filesystem::temp_directory_path() / absl::StrCat("skein-uploads-", getpid());
  FakeWorker worker_;
  std::unique_ptr<GatewayServer> gateway_;
  int port_ = 0;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
  int64_t idle_bytes_ = 0;
};

TEST_F(UploadFaultsTest, WithoutAKeyNothingIsRead) {
  UploadFlood flood({.port = port_,
                     .connections = 10,
                     .streams = 64,
                     .declared_bytes = 16 * kMiB - 100,
                     .sent_bytes = 15 * kMiB});
  const Outcome outcome = Watch("without a key", flood, absl::Seconds(5));
  EXPECT_LT(outcome.most_bytes, 32 * kMiB);
  EXPECT_EQ(flood.num_ended(), flood.num_begun());
  EXPECT_EQ(outcome.served, outcome.asked);
}

TEST_F(UploadFaultsTest, AKeyTakesItsShareAndNoMore) {
  UploadFlood flood({.port = port_,
                     .connections = 10,
                     .streams = 64,
                     .key = "alpha",
                     .declared_bytes = 16 * kMiB - 100,
                     .sent_bytes = 15 * kMiB,
                     .again = true});
  const Outcome outcome = Watch("with a key", flood, absl::Seconds(15));
  EXPECT_GT(outcome.most_bytes, 64 * kMiB);
  EXPECT_LT(outcome.most_bytes, 320 * kMiB);
  EXPECT_EQ(outcome.served, outcome.asked);
}

TEST_F(UploadFaultsTest, HealthThatAnybodyMayAskReadsLittle) {
  UploadFlood flood({.port = port_,
                     .connections = 10,
                     .streams = 64,
                     .path = "/grpc.health.v1.Health/Check",
                     .declared_bytes = 16 * kMiB - 100,
                     .sent_bytes = 15 * kMiB,
                     .again = true});
  const Outcome outcome = Watch("health", flood, absl::Seconds(10));
  EXPECT_LT(outcome.most_bytes, 256 * kMiB);
  EXPECT_EQ(outcome.served, outcome.asked);
}

// gRPC reads a message whole before it looks at the limit of its length.
TEST_F(UploadFaultsTest, LengthsThatAreNotTrueTakeNoMore) {
  UploadFlood flood({.port = port_,
                     .connections = 10,
                     .streams = 64,
                     .key = "alpha",
                     .declared_bytes = 0xffffff00,
                     .sent_bytes = 0xffffff00,
                     .again = true});
  const Outcome outcome = Watch("untrue lengths, with a key", flood, absl::Seconds(10));
  EXPECT_LT(outcome.most_bytes, 512 * kMiB);
  EXPECT_EQ(outcome.served, outcome.asked);
}

TEST_F(UploadFaultsTest, LengthsThatAreNotTrueTakeNoMoreAtHealth) {
  UploadFlood flood({.port = port_,
                     .connections = 10,
                     .streams = 64,
                     .path = "/grpc.health.v1.Health/Check",
                     .declared_bytes = 0xffffff00,
                     .sent_bytes = 0xffffff00,
                     .again = true});
  const Outcome outcome = Watch("untrue lengths, health", flood, absl::Seconds(10));
  EXPECT_LT(outcome.most_bytes, 512 * kMiB);
  EXPECT_EQ(outcome.served, outcome.asked);
}

}  // namespace
}  // namespace skein
