// skein-worker as a process: its command line, its signals, its exit codes.
#include <csignal>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"

#include "skein/v1/inference.grpc.pb.h"
#include "tests/e2e/child_process.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

absl::StatusOr<std::unique_ptr<ChildProcess>> StartDemoWorker() {
  return ChildProcess::Start(
      "worker", {SKEIN_WORKER, "--model", SourcePath("deploy/demo-model"), "--name", "demo",
                 "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"});
}

TEST(WorkerProcessTest, ItTellsItsPortAndStopsCleanly) {
  const auto worker = StartDemoWorker();
  ASSERT_TRUE(worker.ok()) << worker.status();
  const auto listening = (*worker)->WaitForLine("event=\"listening\"", kPatience);
  ASSERT_TRUE(listening.ok()) << listening.status();
  EXPECT_THAT(LogField(*listening, "address"),
              ::testing::MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  const auto ready = (*worker)->WaitForLine("event=\"model ready\"", kPatience);
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(LogField(*ready, "model"), "demo");
  (*worker)->Signal(SIGTERM);
  EXPECT_EQ((*worker)->Wait(kPatience).value_or(-1), 0);
  EXPECT_THAT((*worker)->err(), HasSubstr("event=\"stopped\""));
}

TEST(WorkerProcessTest, ASecondSignalEndsItAtOnce) {
  const auto worker = StartDemoWorker();
  ASSERT_TRUE(worker.ok()) << worker.status();
  const auto listening = (*worker)->WaitForLine("event=\"listening\"", kPatience);
  ASSERT_TRUE(listening.ok()) << listening.status();
  ASSERT_TRUE((*worker)->WaitForLine("event=\"model ready\"", kPatience).ok());
  const auto stub = v1::InferenceService::NewStub(
      grpc::CreateChannel(LogField(*listening, "address"), grpc::InsecureChannelCredentials()));
  v1::GenerateRequest request;
  request.mutable_prompt()->set_text("Once");
  request.set_n(64);  // far more than it can do before the second signal
  request.mutable_stopping()->set_max_tokens(4096);
  request.mutable_stopping()->set_ignore_eos(true);
  grpc::ClientContext context;
  const auto reader = stub->Generate(&context, request);
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  (*worker)->Signal(SIGTERM);
  ASSERT_TRUE((*worker)->WaitForLine("event=\"draining\"", kPatience).ok());
  (*worker)->Signal(SIGTERM);
  EXPECT_EQ((*worker)->Wait(kPatience).value_or(-1), 1);
  EXPECT_THAT((*worker)->err(), HasSubstr("event=\"quitting at once\""));
  while (reader->Read(&message)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(WorkerProcessTest, ASecondWorkerOnThePortFails) {
  const auto worker = StartDemoWorker();
  ASSERT_TRUE(worker.ok()) << worker.status();
  const auto listening = (*worker)->WaitForLine("event=\"listening\"", kPatience);
  ASSERT_TRUE(listening.ok()) << listening.status();
  const auto second = RunCommand({SKEIN_WORKER, "--model", SourcePath("deploy/demo-model"),
                                  "--listen", LogField(*listening, "address")});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->exit_status, 1);
  EXPECT_THAT(second->err, HasSubstr("cannot listen on"));
}

TEST(WorkerProcessTest, MistakesHaveTheirExitCodeAndALine) {
  struct Case {
    std::vector<std::string> args;
    int exit_status;
    const char* error;
  };
  for (const Case& c :
       {Case{{}, 2, "--model is missing"}, Case{{"--modle", "x"}, 2, "--modle: unknown flag"},
        Case{{"--model", "x", "--listen", "here"}, 2, "listen: \"here\" is not an address"},
        Case{{"--model", "x", "--log-level", "loud"}, 2, "log_level: \"loud\""},
        Case{{"--config", "/nowhere"}, 2, "/nowhere: cannot be opened"},
        Case{{"--model", "/nowhere", "--listen", "127.0.0.1:0"}, 1, "/nowhere"},
        Case{{"--model", "x", "--listen", "127.0.0.1:0", "--metrics-listen", "203.0.113.1:1"},
             1,
             "cannot listen on 203.0.113.1:1 for metrics"}}) {
    SCOPED_TRACE(c.error);
    std::vector<std::string> command = {SKEIN_WORKER};
    command.insert(command.end(), c.args.begin(), c.args.end());
    const auto result = RunCommand(command);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_status, c.exit_status);
    EXPECT_THAT(result->err, HasSubstr(c.error));
  }
}

TEST(WorkerProcessTest, HelpIsPrintedOnRequest) {
  const auto result = RunCommand({SKEIN_WORKER, "--help"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_status, 0);
  EXPECT_THAT(result->out, HasSubstr("Usage: skein-worker --model PATH"));
}

}  // namespace
}  // namespace skein
