// Many streams at once that end in every way: by themselves, by a client that leaves, by a
// deadline.
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include <grpcpp/grpcpp.h>

#include "skein/v1/inference.grpc.pb.h"
#include "tests/e2e/servers.h"
#include "tools/skeinctl/api_client.h"

namespace skein {
namespace {

constexpr int kStreams = 200;
constexpr int kGatewayDeadlineSeconds = 1;
// 64 sequences of at most 60 + 400 tokens need 60 MB of pages.
constexpr char kWorkerConfig[] = "engine { max_sequences: 64 kv_bytes: 67108864 }";

// How the calls ended; what should not have happened counts as an error.
class Tally {
 public:
  void Count(const std::string& how) {
    const std::lock_guard<std::mutex> lock(mu_);
    ++counts_[how];
  }
  void Error(const std::string& what) {
    const std::lock_guard<std::mutex> lock(mu_);
    if (errors_.size() < 10) errors_.push_back(what);
    ++num_errors_;
  }
  int errors() const { return num_errors_; }
  std::string ToString() const {
    std::string text;
    for (const auto& [how, count] : counts_) absl::StrAppend(&text, how, ": ", count, "  ");
    for (const std::string& error : errors_) absl::StrAppend(&text, "\n  ", error);
    return text;
  }

 private:
  std::mutex mu_;
  std::map<std::string, int> counts_;
  std::vector<std::string> errors_;
  int num_errors_ = 0;
};

struct Targets {
  std::string worker;         // gRPC address
  std::string url;            // a patient gateway
  std::string impatient_url;  // a gateway that gives a generation kGatewayDeadlineSeconds
};

class Client {
 public:
  Client(const Targets& targets, uint32_t seed, Tally& tally)
      : random_(seed),
        tally_(tally),
        patient_(ctl::ParseUrl(targets.url).value(), absl::Minutes(2)),
        impatient_(ctl::ParseUrl(targets.impatient_url).value(), absl::Minutes(2)),
        stub_(v1::InferenceService::NewStub(
            grpc::CreateChannel(targets.worker, grpc::InsecureChannelCredentials()))) {}

  void CallOnce() {
    switch (Draw(0, 9)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return RunToTheEnd(Draw(0, 3) > 0);
      case 4:
      case 5:
      case 6:
        return Leave();
      case 7:
        return MeetGatewayDeadline();
      default:
        return MeetGrpcDeadline();
    }
  }

 private:
  int Draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  ctl::GenerateCall MakeCall(int max_tokens) {
    ctl::GenerateCall call;
    call.model = "demo";
    ctl::TokenIds prompt(static_cast<size_t>(Draw(1, 60)));
    for (int64_t& id : prompt) id = Draw(0, 2000);
    call.prompt = prompt;
    call.max_tokens = max_tokens;
    call.ignore_eos = true;
    call.seed = Draw(0, 1 << 30);
    return call;
  }

  void RunToTheEnd(bool stream) {
    ctl::GenerateCall call = MakeCall(Draw(1, 40));
    call.stream = stream;
    const auto answer = patient_.Generate(call);
    if (!answer.ok())
      return tally_.Error(absl::StrCat("run to the end: ", answer.status().ToString()));
    if (answer->completion_tokens != *call.max_tokens || answer->finish_reason != "length") {
      return tally_.Error(
          absl::StrCat("asked for ", *call.max_tokens, " tokens, got ", answer->completion_tokens));
    }
    tally_.Count(stream ? "streamed" : "whole");
  }

  // Closes the connection after some text, or before any.
  void Leave() {
    ctl::GenerateCall call = MakeCall(400);
    int pieces_left = Draw(1, 12);
    call.on_text = [&pieces_left](absl::string_view) { return --pieces_left > 0; };
    const auto answer = patient_.Generate(call);
    if (absl::IsCancelled(answer.status())) return tally_.Count("left");
    // Random bytes that make up few characters can end in fewer pieces than were waited for.
    if (answer.ok() && answer->completion_tokens == 400)
      return tally_.Count("ended before leaving");
    tally_.Error(absl::StrCat("leave: ", answer.status().ToString()));
  }

  void MeetGatewayDeadline() {
    const absl::Time begin = absl::Now();
    const auto answer = impatient_.Generate(MakeCall(Draw(1, 400)));
    const absl::Duration took = absl::Now() - begin;
    if (answer.ok()) return tally_.Count("within the gateway's deadline");
    if (absl::IsDeadlineExceeded(answer.status()) &&
        took >= absl::Seconds(kGatewayDeadlineSeconds)) {
      return tally_.Count("past the gateway's deadline");
    }
    tally_.Error(absl::StrCat("gateway deadline: ", answer.status().ToString(), " after ",
                              absl::FormatDuration(took)));
  }

  void MeetGrpcDeadline() {
    v1::GenerateRequest request;
    request.set_model("demo");
    for (int i = Draw(1, 60); i > 0; --i)
      request.mutable_prompt()->mutable_tokens()->add_ids(static_cast<uint32_t>(Draw(0, 2000)));
    request.mutable_stopping()->set_max_tokens(static_cast<uint32_t>(Draw(1, 400)));
    request.mutable_stopping()->set_ignore_eos(true);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(Draw(1, 500)));
    const auto reader = stub_->Generate(&context, request);
    v1::GenerateResponse response;
    while (reader->Read(&response)) {
    }
    const grpc::Status status = reader->Finish();
    if (status.ok()) return tally_.Count("within the call's deadline");
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
      return tally_.Count("past the call's deadline");
    tally_.Error(absl::StrCat("gRPC: ", status.error_code(), " ", status.error_message()));
  }

  std::mt19937 random_;
  Tally& tally_;
  ctl::ApiClient patient_, impatient_;
  const std::unique_ptr<v1::InferenceService::Stub> stub_;
};

void RunStreams(const Targets& targets, absl::Duration duration, uint32_t seed, Tally& tally) {
  const absl::Time end = absl::Now() + duration;
  std::vector<std::jthread> threads;
  for (uint32_t i = 0; i < kStreams; ++i) {
    threads.emplace_back([&, i] {
      Client client(targets, seed * 1000 + i, tally);
      while (absl::Now() < end) client.CallOnce();
    });
  }
}

absl::Duration SoakTime() {
  const char* seconds = std::getenv("SKEIN_SOAK_SECONDS");
  return absl::Seconds(seconds != nullptr ? std::atoi(seconds) : 5);
}

// The sanitizer keeps freed memory for a while, so its processes are not judged.
void ExpectFlat(const std::string& name, int64_t before, int64_t after) {
  std::cout << name << ": " << before / 1000000 << " MB after warming up, " << after / 1000000
            << " MB at the end\n";
  if (UnderAddressSanitizer()) return;
  EXPECT_LE(after, before + before / 10 + 8'000'000) << name;
}

TEST(SoakTest, NothingFailsNothingLeaks) {
  auto worker = WorkerServer::Start({.config = kWorkerConfig});
  ASSERT_TRUE(worker.ok()) << worker.status();
  auto patient = GatewayServer::Start({(*worker)->address()});
  ASSERT_TRUE(patient.ok()) << patient.status();
  auto impatient = GatewayServer::Start(
      {(*worker)->address()},
      absl::StrCat("limits { request_timeout_s: ", kGatewayDeadlineSeconds, " }"));
  ASSERT_TRUE(impatient.ok()) << impatient.status();
  const auto idle = (*worker)->Load();
  ASSERT_TRUE(idle.ok()) << idle.status();
  EXPECT_EQ(idle->free_state_slots(), 64u);
  const Targets targets{(*worker)->address(), (*patient)->url(), (*impatient)->url()};

  Tally tally;
  RunStreams(targets, SoakTime() / 2, 1, tally);  // touches every slot and page once
  EXPECT_EQ((*worker)->WaitIdle(*idle, Patience(10)), absl::OkStatus());
  const int64_t worker_before = (*worker)->process().rss_bytes();
  const int64_t gateway_before = (*patient)->process().rss_bytes();

  RunStreams(targets, SoakTime(), 2, tally);
  EXPECT_EQ((*worker)->WaitIdle(*idle, Patience(10)), absl::OkStatus());
  std::cout << tally.ToString() << "\n";
  EXPECT_EQ(tally.errors(), 0) << tally.ToString();
  EXPECT_EQ((*worker)->Metric("skein_worker_free_state_slots").value_or(-1), 64);
  EXPECT_EQ((*worker)->Metric("skein_worker_running_sequences").value_or(-1), 0);
  ExpectFlat("worker", worker_before, (*worker)->process().rss_bytes());
  ExpectFlat("gateway", gateway_before, (*patient)->process().rss_bytes());

  EXPECT_EQ(StopCleanly((*patient)->process()), absl::OkStatus());
  EXPECT_EQ(StopCleanly((*impatient)->process()), absl::OkStatus());
  EXPECT_EQ(StopCleanly((*worker)->process()), absl::OkStatus());
}

}  // namespace
}  // namespace skein
