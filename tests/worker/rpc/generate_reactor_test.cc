#include "worker/rpc/generate_reactor.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "skein/v1/error_details.pb.h"
#include "tests/worker/rpc/test_worker.h"

namespace skein {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string InitialMetadata(const grpc::ClientContext& context, const char* key) {
  const auto& metadata = context.GetServerInitialMetadata();
  const auto it = metadata.find(key);
  return it == metadata.end() ? "" : std::string(it->second.data(), it->second.size());
}

uint32_t SumDrawn(const Collected& got) {
  uint32_t drawn = 0;
  for (const v1::GenerateResponse& message : got.messages) drawn += message.drawn();
  return drawn;
}

TEST(GenerateReactorTest, StartedThenTextThenUsage) {
  TestWorker worker;
  const Collected got = Collect(worker.inference(), GreedyRequest("abc", 5));
  ASSERT_TRUE(got.status.ok()) << got.status.error_message();
  EXPECT_EQ(got.Text(), "defgh");
  EXPECT_EQ(got.Text(), Alphabet("abc", 5));
  ASSERT_GE(got.messages.size(), 3u);
  EXPECT_EQ(got.messages.front().started().prompt_tokens(), 4u);
  EXPECT_LT(got.messages.front().started().seed(), uint64_t{1} << 53);
  EXPECT_EQ(got.messages[got.messages.size() - 2].finish(), v1::FINISH_REASON_LENGTH);
  const v1::Usage& usage = got.messages.back().usage();
  EXPECT_EQ(usage.prompt_tokens(), 4u);
  EXPECT_EQ(usage.completion_tokens(), 5u);
  EXPECT_EQ(SumDrawn(got), 5u);
  EXPECT_EQ(usage.state_rows(), 1u);
}

TEST(GenerateReactorTest, EachChoiceFinishesOnce) {
  TestWorker worker;
  v1::GenerateRequest request = GreedyRequest("abc", 6);
  request.set_n(3);
  request.set_echo(true);
  const Collected got = Collect(worker.inference(), request);
  ASSERT_TRUE(got.status.ok()) << got.status.error_message();
  for (uint32_t choice = 0; choice < 3; ++choice) EXPECT_EQ(got.Text(choice), "abcdefghi");
  EXPECT_EQ(got.num_finishes(), 3);
  EXPECT_EQ(got.messages.back().usage().completion_tokens(), 18u);
  EXPECT_EQ(SumDrawn(got), 18u);
}

TEST(GenerateReactorTest, AStopStringEndsTheText) {
  TestWorker worker;
  v1::GenerateRequest request = GreedyRequest("abc", 50);
  request.mutable_stopping()->mutable_stop()->add_text("hi");
  const Collected got = Collect(worker.inference(), request);
  ASSERT_TRUE(got.status.ok()) << got.status.error_message();
  EXPECT_EQ(got.Text(), "defg");
  EXPECT_EQ(got.messages[got.messages.size() - 2].matched_stop(), "hi");
  EXPECT_EQ(got.messages[got.messages.size() - 2].finish(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(got.messages.back().usage().completion_tokens(), 6u);
  EXPECT_EQ(SumDrawn(got), 6u);  // also those whose text was held back
}

TEST(GenerateReactorTest, LogprobsCarryTheBytesOfTokens) {
  TestWorker worker;
  v1::GenerateRequest request = GreedyRequest("ab", 3);
  request.mutable_logprobs()->set_top(2);
  request.mutable_logprobs()->set_prompt(true);
  const Collected got = Collect(worker.inference(), request);
  ASSERT_TRUE(got.status.ok()) << got.status.error_message();
  const v1::Started& started = got.messages.front().started();
  ASSERT_EQ(started.prompt_size(), 3);
  EXPECT_FALSE(started.prompt(0).has_logprob());
  EXPECT_TRUE(started.prompt(1).has_logprob());
  EXPECT_EQ(started.prompt(2).text(), "b");
  std::string text;
  for (const v1::GenerateResponse& message : got.messages) {
    for (const v1::TokenInfo& token : message.tokens()) {
      text += token.text();
      EXPECT_TRUE(token.has_logprob());
      EXPECT_EQ(token.top_size(), 2);
      EXPECT_EQ(token.top(0).id(), token.id());
    }
  }
  EXPECT_EQ(text, "cde");
}

TEST(GenerateReactorTest, AGivenSeedIsReported) {
  TestWorker worker;
  v1::GenerateRequest request = GreedyRequest("abc", 1);
  request.mutable_sampling()->set_seed(0xffff'ffff'ffff'ffff);
  const Collected got = Collect(worker.inference(), request);
  EXPECT_EQ(got.messages.front().started().seed(), 0xffff'ffff'ffff'ffff);
}

TEST(GenerateReactorTest, RequestIdAndTraceComeBack) {
  TestWorker worker;
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "req-1");
  const std::string sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  context.AddMetadata("traceparent", sent);
  EXPECT_TRUE(Collect(worker.inference(), GreedyRequest("abc", 1), context).status.ok());
  EXPECT_EQ(InitialMetadata(context, "x-request-id"), "req-1");
  const std::string answered = InitialMetadata(context, "traceparent");
  EXPECT_EQ(answered.substr(0, 36), sent.substr(0, 36)) << "the same trace";
  EXPECT_NE(answered.substr(36, 16), sent.substr(36, 16)) << "a span of the worker's own";
}

TEST(GenerateReactorTest, AMissingOrUnusableTraceIsReplaced) {
  TestWorker worker;
  for (const std::string& header : {std::string(), std::string("00-abc-def-01")}) {
    SCOPED_TRACE(header);
    grpc::ClientContext context;
    if (!header.empty()) context.AddMetadata("traceparent", header);
    EXPECT_TRUE(Collect(worker.inference(), GreedyRequest("abc", 1), context).status.ok());
    EXPECT_THAT(InitialMetadata(context, "traceparent"),
                MatchesRegex("00-[0-9a-f]{32}-[0-9a-f]{16}-00"));
  }
}

TEST(GenerateReactorTest, AMissingOrUnusableRequestIdIsReplaced) {
  TestWorker worker;
  for (const std::string& id : {std::string(), std::string("has blanks"), std::string(129, 'x')}) {
    SCOPED_TRACE(id);
    grpc::ClientContext context;
    if (!id.empty()) context.AddMetadata("x-request-id", id);
    EXPECT_TRUE(Collect(worker.inference(), GreedyRequest("abc", 1), context).status.ok());
    EXPECT_THAT(InitialMetadata(context, "x-request-id"), MatchesRegex("[0-9a-f]{32}"));
  }
}

TEST(GenerateReactorTest, RefusalsHaveTheirStatus) {
  TestWorker worker;
  v1::GenerateRequest unknown = GreedyRequest("abc", 1);
  unknown.set_model("other");
  v1::GenerateRequest hot = GreedyRequest("abc", 1);
  hot.mutable_sampling()->set_temperature(-1);
  v1::GenerateRequest conditioned = GreedyRequest("abc", 1);
  conditioned.mutable_conditioning()->set_entry("tuned");
  struct Case {
    v1::GenerateRequest request;
    grpc::StatusCode code;
    const char* message;
  };
  for (const Case& c :
       {Case{unknown, grpc::StatusCode::NOT_FOUND, "model \"other\": not served here"},
        Case{hot, grpc::StatusCode::INVALID_ARGUMENT, "temperature: "},
        Case{conditioned, grpc::StatusCode::NOT_FOUND, "state \"tuned\": not registered"},
        Case{GreedyRequest(std::string(1000, 'a'), 1), grpc::StatusCode::INVALID_ARGUMENT,
             "prompt: 1001 tokens, expected at most 1000"}}) {
    SCOPED_TRACE(c.message);
    const Collected got = Collect(worker.inference(), c.request);
    EXPECT_EQ(got.status.error_code(), c.code);
    EXPECT_THAT(got.status.error_message(), HasSubstr(c.message));
    EXPECT_TRUE(got.messages.empty());
  }
}

TEST(GenerateReactorTest, AModelThatLoadsIsUnavailable) {
  TestWorker worker({.loaded = false});
  const Collected got = Collect(worker.inference(), GreedyRequest("abc", 1));
  EXPECT_EQ(got.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(got.status.error_message(), HasSubstr("model alphabet: is loading"));
  worker.Load();
  EXPECT_TRUE(Collect(worker.inference(), GreedyRequest("abc", 1)).status.ok());
}

TEST(GenerateReactorTest, AFullQueueIsResourceExhausted) {
  TestWorker worker({.max_sequences = 1, .max_queue = 1});
  worker.pace().Close();
  std::vector<std::thread> callers;
  std::vector<Collected> results(2);
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back(
        [&, i] { results[i] = Collect(worker.inference(), GreedyRequest("abc", 2)); });
    // The loop stands still with the first one, so it does not tell of the second: its queue does.
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    const auto arrived = [&] {
      const LoadSnapshot load = (*worker.host().Find(""))->loop->Load();
      return i == 0 ? load.running == 1 : load.waiting == 1;
    };
    while (!arrived() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  }
  const Collected refused = Collect(worker.inference(), GreedyRequest("abc", 2));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED)
      << refused.status.error_message();
  v1::StatusDetails details;
  v1::RetryInfo info;
  ASSERT_TRUE(details.ParseFromString(refused.status.error_details()));
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.RetryInfo");
  ASSERT_TRUE(info.ParseFromString(details.details(0).value()));
  EXPECT_GE(info.retry_delay().seconds(), 1);
  EXPECT_LE(info.retry_delay().seconds(), 60);
  EXPECT_THAT(worker.metrics().Text(),
              HasSubstr("skein_worker_rejected_requests_total{model=\"alphabet\","
                        "reason=\"queue_requests\"}"));
  worker.pace().Open();
  for (std::thread& caller : callers) caller.join();
  for (const Collected& result : results) {
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  }
}

TEST(GenerateReactorTest, CancellingFreesTheSlotWithinAStep) {
  TestWorker worker;
  worker.pace().SetStepTime(absl::Milliseconds(2));
  grpc::ClientContext context;
  const auto reader = worker.inference().Generate(&context, GreedyRequest("abc", 50'000));
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(worker.host().status().load.running, 1);
  const uint64_t steps = worker.host().status().load.steps;
  context.TryCancel();
  while (reader->Read(&message)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  ASSERT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) { return load.running == 0; }));
  EXPECT_EQ(worker.host().status().load.free_state_slots, 8);
  // Of 50,000 steps: what the cancellation needs to travel is a few of 2 ms, more on a busy
  // machine.
  EXPECT_LT(worker.host().status().load.steps, steps + 500);
}

TEST(GenerateReactorTest, ADeadlineEndsTheCallAndFreesTheSlot) {
  TestWorker worker;
  worker.pace().SetStepTime(absl::Milliseconds(2));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  const Collected got = Collect(worker.inference(), GreedyRequest("abc", 50'000), context);
  EXPECT_EQ(got.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) { return load.running == 0; }));
}

TEST(GenerateReactorTest, ASlowReaderHoldsUpNobodyAndLosesNothing) {
  TestWorker worker;
  constexpr int kTokens = 60'000;
  v1::GenerateRequest large = GreedyRequest("abc", kTokens);
  large.mutable_logprobs()->set_top(5);  // far more than gRPC's window takes
  const auto stub = v1::InferenceService::NewStub(worker.NewChannel(/*small_window=*/true));
  grpc::ClientContext context;
  const auto slow = stub->Generate(&context, large);
  v1::GenerateResponse message;
  ASSERT_TRUE(slow->Read(&message));
  const Collected other = Collect(worker.inference(), GreedyRequest("xyz", 200));
  EXPECT_EQ(other.Text(), Alphabet("xyz", 200));
  ASSERT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) { return load.running == 0; }));
  std::string text;
  int num_messages = 0;
  int num_tokens = 0;
  while (slow->Read(&message)) {
    text += message.text();
    num_tokens += message.tokens_size();
    ++num_messages;
    EXPECT_LT(message.ByteSizeLong(), size_t{1} << 20);
  }
  EXPECT_TRUE(slow->Finish().ok());
  EXPECT_EQ(text, Alphabet("abc", kTokens));
  EXPECT_EQ(num_tokens, kTokens);
  EXPECT_LT(num_messages, kTokens / 10);  // coalesced while nobody read
}

TEST(GenerateReactorTest, ALostConnectionFreesTheSlot) {
  TestWorker worker;
  worker.pace().SetStepTime(absl::Milliseconds(1));
  {
    auto channel = worker.NewChannel();
    auto stub = v1::InferenceService::NewStub(channel);
    grpc::ClientContext context;
    auto reader = stub->Generate(&context, GreedyRequest("abc", 50'000));
    v1::GenerateResponse message;
    ASSERT_TRUE(reader->Read(&message));
  }
  EXPECT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) { return load.running == 0; }));
}

TEST(GenerateReactorTest, StoppingTheServerEndsRunningCalls) {
  TestWorker worker;
  worker.pace().SetStepTime(absl::Milliseconds(1));
  grpc::ClientContext context;
  const auto reader = worker.inference().Generate(&context, GreedyRequest("abc", 50'000));
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  worker.server().Stop(absl::Milliseconds(20));
  while (reader->Read(&message)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) { return load.running == 0; }));
}

TEST(ScoreReactorTest, EveryPromptTokenButTheFirstHasALogprob) {
  TestWorker worker;
  v1::ScoreRequest request;
  request.mutable_prompt()->set_text("bcd");
  request.set_top(1);
  v1::ScoreResponse response;
  grpc::ClientContext context;
  const grpc::Status status = worker.inference().Score(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.tokens_size(), 4);
  EXPECT_EQ(response.tokens(0).id(), static_cast<uint32_t>(ByteTokenizer::kEnd));
  EXPECT_FALSE(response.tokens(0).has_logprob());
  EXPECT_LT(response.tokens(1).logprob(), -20);  // the model wanted "a"
  EXPECT_EQ(response.tokens(1).top(0).text(), "a");
  EXPECT_EQ(response.tokens(3).text(), "d");
}

TEST(ScoreReactorTest, ScoringCanBeCancelledByItsDeadline) {
  TestWorker worker;
  worker.pace().Close();
  v1::ScoreRequest request;
  request.mutable_prompt()->set_text("bcd");
  v1::ScoreResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  const grpc::Status status = worker.inference().Score(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  worker.pace().Open();
  EXPECT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) { return load.running == 0; }));
}

TEST(ScoreReactorTest, RefusalsHaveTheirStatus) {
  TestWorker worker;
  v1::ScoreRequest request;
  v1::ScoreResponse response;
  grpc::ClientContext context;
  const grpc::Status status = worker.inference().Score(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("prompt: missing"));
}

}  // namespace
}  // namespace skein
