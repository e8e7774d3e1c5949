#include "gateway/grpc/stream_call.h"

#include <thread>

#include "gmock/gmock.h"
#include <grpcpp/generic/generic_stub.h>

#include "common/base/trace_context.h"
#include "tests/gateway/grpc/front_fixture.h"

namespace skein {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class StreamCallTest : public FrontTest {};

TEST_F(StreamCallTest, PassesMessagesOnAsTheyAre) {
  const FakeGeneration script = SayPieces({"Hello", ",", " world"});
  const Received received = Generate();
  EXPECT_TRUE(received.status.ok()) << received.status.error_message();
  // That the generation has begun comes with its first text.
  std::vector<v1::GenerateResponse> expected;
  for (const FakeGeneration::Step& step : script.steps) expected.push_back(step.message);
  expected[0].MergeFrom(expected[1]);
  expected.erase(expected.begin() + 1);
  ASSERT_EQ(received.messages.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(received.messages[i].SerializeAsString(), expected[i].SerializeAsString());
  }
  EXPECT_EQ(seen().request.SerializeAsString(), SomeRequest().SerializeAsString());
}

TEST_F(StreamCallTest, RequestIdAndTraceGoBothWays) {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "mine");
  context.AddMetadata("traceparent", trace);
  EXPECT_TRUE(Generate(context).status.ok());
  EXPECT_EQ(seen().metadata.at("x-request-id"), "mine");
  const std::string passed_on = seen().metadata.at("traceparent");  // in a span of the gateway's
  EXPECT_EQ(passed_on.substr(0, 36), trace.substr(0, 36));
  EXPECT_NE(passed_on.substr(36, 16), trace.substr(36, 16));
  EXPECT_EQ(passed_on.substr(52), trace.substr(52));
  EXPECT_EQ(context.GetServerInitialMetadata().find("x-request-id")->second, "mine");
  EXPECT_EQ(context.GetServerInitialMetadata().find("traceparent")->second, passed_on);
}

TEST_F(StreamCallTest, ABadRequestIdIsReplaced) {
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "no blanks");
  EXPECT_TRUE(Generate(context).status.ok());
  const std::string id = seen().metadata.at("x-request-id");
  EXPECT_THAT(id, HasSubstr("req-"));
  EXPECT_EQ(context.GetServerInitialMetadata().find("x-request-id")->second, id);
}

TEST_F(StreamCallTest, TheDeadlineIsTheClientsUpToTheLimit) {
  config().mutable_limits()->set_request_timeout_s(30);
  {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
    EXPECT_TRUE(Generate(context).status.ok());
  }
  EXPECT_GT(seen().time_left, absl::Seconds(15));
  EXPECT_LT(seen().time_left, absl::Seconds(22));
  EXPECT_TRUE(Generate().status.ok());
  for (const FakeWorker* worker : {&a_, &b_}) {
    for (const SeenCall& call : worker->calls()) EXPECT_LT(call.time_left, absl::Seconds(32));
  }
}

TEST_F(StreamCallTest, TheDeadlineEndsBothSides) {
  Script(Endless());
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(200)));
  const Received received = Generate(context);
  EXPECT_EQ(received.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(received.text, "ab");
  EXPECT_TRUE(Eventually([this] { return num_running() == 0; }));
}

TEST_F(StreamCallTest, TheGatewaysOwnLimitIsADeadlineToo) {
  config().mutable_limits()->set_request_timeout_s(1);
  Script(Endless());
  EXPECT_EQ(Generate().status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([this] { return num_running() == 0; }));
}

TEST_F(StreamCallTest, CancelReachesTheWorker) {
  Script(Endless());
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(num_running(), 1);
  const absl::Time start = absl::Now();
  context.TryCancel();
  EXPECT_TRUE(Eventually([this] { return num_running() == 0; }));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(StreamCallTest, CancelsAtAnyTime) {
  Script(SayPieces({"a", "b", "c"}, absl::Milliseconds(1)));
  for (int i = 0; i < 100; ++i) {
    grpc::ClientContext context;
    std::thread canceller([&] {
      absl::SleepFor(absl::Microseconds(100 * (i % 50)));
      context.TryCancel();
    });
    const grpc::StatusCode code = Generate(context).status.error_code();
    canceller.join();
    EXPECT_TRUE(code == grpc::StatusCode::OK || code == grpc::StatusCode::CANCELLED) << code;
  }
  EXPECT_TRUE(Eventually([this] { return num_running() == 0; }));
}

TEST_F(StreamCallTest, PassesTheWorkersStatusOn) {
  for (const absl::Status& status :
       {absl::InvalidArgumentError("sampling.top_p: 2, expected 0 to 1"),
        absl::ResourceExhaustedError("queue full"), absl::InternalError("a bug")}) {
    Script(Failure(status, {"some"}));
    const Received received = Generate();
    EXPECT_EQ(received.text, "some");
    EXPECT_EQ(static_cast<int>(received.status.error_code()), static_cast<int>(status.code()));
    EXPECT_EQ(received.status.error_message(), std::string(status.message()));
  }
}

TEST_F(StreamCallTest, AnUnknownModelIsNotFound) {
  v1::GenerateRequest request = SomeRequest();
  request.set_model("other");
  const Received received = Generate(request);
  EXPECT_EQ(received.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(received.status.error_message(), HasSubstr("other"));
  EXPECT_EQ(num_calls(), 0u);
}

TEST_F(StreamCallTest, AMissingOrMalformedTraceIsReplaced) {
  for (const char* trace : {"", "no-trace", "00-0123-4567-01"}) {
    grpc::ClientContext context;
    if (*trace != 0) context.AddMetadata("traceparent", trace);
    EXPECT_TRUE(Generate(context).status.ok());
    EXPECT_TRUE(ParseTraceparent(seen().metadata.at("traceparent")).has_value()) << trace;
  }
}

TEST_F(StreamCallTest, LeavesAnAccessLineAsHttpDoes) {
  const std::string trace_id(32, 'a');
  ::testing::internal::CaptureStderr();
  grpc::ClientContext context;
  context.AddMetadata("traceparent", "00-" + trace_id + "-00f067aa0ba902b7-01");
  v1::GenerateRequest request = SomeRequest();
  request.clear_model();
  EXPECT_TRUE(Generate(context, request).status.ok());
  server().Stop(absl::Seconds(10));  // the line has been written
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              MatchesRegex(".* trace_id=" + trace_id +
                           " span_id=[0-9a-f]+ client=[^ ]+ method=gRPC "
                           "route=/skein.v1.InferenceService/Generate status=200 model=fake "
                           "worker=127.0.0.1:[0-9]+ prompt_tokens=3 completion_tokens=3 "
                           "finish_reason=stop queue_ms=0 first_token_ms=[^ ]+ total_ms=[^ ]+ "
                           "request_bytes=[1-9][0-9]* response_bytes=[1-9][0-9]*\n.*"));
}

TEST_F(StreamCallTest, ChoicesAreAsManyAsOverHttp) {
  config().mutable_limits()->set_max_choices(2);
  v1::GenerateRequest request = SomeRequest();
  request.set_n(3);
  const Received refused = Generate(request);
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refused.status.error_message(), "n: found 3, expected an integer 1 to 2");
  EXPECT_EQ(num_calls(), 0u);
  request.set_n(2);
  EXPECT_TRUE(Generate(request).status.ok());
}

TEST_F(StreamCallTest, WhatIsNoRequestIsInvalid) {
  grpc::GenericStub stub(channel());
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  const grpc::Slice garbage("\xff\xff\xff");
  const auto call = stub.PrepareUnaryCall(&context, "/skein.v1.InferenceService/Generate",
                                          grpc::ByteBuffer(&garbage, 1), &queue);
  grpc::ByteBuffer response;
  grpc::Status status;
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("skein.v1.GenerateRequest"));
  EXPECT_EQ(num_calls(), 0u);
}

TEST_F(StreamCallTest, MovesToAnotherWorkerBeforeTheFirstMessage) {
  a_.OnGenerate(
      [](const v1::GenerateRequest&) { return Failure(absl::UnavailableError("draining")); });
  // Different prompts have different workers.
  for (int i = 0; i < 20 && a_.calls().empty(); ++i) {
    v1::GenerateRequest request = SomeRequest();
    request.mutable_prompt()->set_text(std::to_string(i));
    const Received received = Generate(request);
    EXPECT_TRUE(received.status.ok()) << received.status.error_message();
    EXPECT_EQ(received.text, "Hello, world");
  }
  EXPECT_FALSE(a_.calls().empty());
}

TEST_F(StreamCallTest, DoesNotRepeatWhatHasBegun) {
  Script(Failure(absl::UnavailableError("lost"), {"some"}));
  const Received received = Generate();
  EXPECT_EQ(received.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(received.status.error_message(), "lost");
  EXPECT_EQ(received.text, "some");
  EXPECT_EQ(num_calls(), 1u);
}

TEST_F(StreamCallTest, AWorkerThatDiesEndsTheCall) {
  Script(Endless());
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  a_.Stop();
  b_.Stop();
  while (reader->Read(&message)) {
  }
  const grpc::Status status = reader->Finish();
  EXPECT_NE(status.error_code(), grpc::StatusCode::OK);
  for (const FakeWorker* worker : {&a_, &b_}) {
    EXPECT_THAT(status.error_message(), ::testing::Not(HasSubstr(worker->address())));
  }
}

// 64 KiB each.
FakeGeneration Flood(int num_messages) {
  FakeGeneration script;
  v1::GenerateResponse message;
  message.set_text(std::string(64 << 10, 'x'));
  for (int i = 0; i < num_messages; ++i) script.steps.push_back({message, absl::ZeroDuration()});
  return script;
}

TEST_F(StreamCallTest, ASlowReaderHoldsTheWorkerBack) {
  constexpr int kMessages = 2000;
  Script(Flood(kMessages));
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  // Whatever the windows of both connections hold, it is not 125 MiB.
  int before = -1;
  while (before != a_.num_messages() + b_.num_messages()) {
    before = a_.num_messages() + b_.num_messages();
    absl::SleepFor(absl::Milliseconds(200));
  }
  EXPECT_LT(before, kMessages / 4);
  int received = 1;
  while (reader->Read(&message)) ++received;
  EXPECT_EQ(received, kMessages);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(StreamCallTest, AClientThatDoesNotReadIsLeft) {
  config().mutable_limits()->set_write_timeout_s(1);
  Script(Flood(2000));
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(num_running(), 1);
  EXPECT_TRUE(Eventually([this] { return num_running() == 0; }));
  while (reader->Read(&message)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(StreamCallTest, CarriesManyCallsAtOnce) {
  Script(SayPieces({"Hello", ",", " world"}, absl::Milliseconds(5)));
  inference();  // before the threads
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([this] { EXPECT_EQ(Generate().text, "Hello, world"); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace skein
