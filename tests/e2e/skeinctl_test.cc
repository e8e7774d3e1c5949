// The client program against running servers.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"

namespace skein {
namespace {

class SkeinctlE2eTest : public testing::Test {
 protected:
  void SetUp() override {
    auto worker = WorkerServer::Start({});
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    auto gateway = GatewayServer::Start({worker_->address()});
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
  }

  CommandResult Skeinctl(const std::vector<std::string>& args, const std::string& input = "") {
    std::vector<std::string> command = {SKEINCTL, args[0], "--url", gateway_->url()};
    command.insert(command.end(), args.begin() + 1, args.end());
    const auto result = RunCommand(command, input);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(CommandResult());
  }

  std::unique_ptr<WorkerServer> worker_;
  std::unique_ptr<GatewayServer> gateway_;
};

TEST_F(SkeinctlE2eTest, EveryCommandWorks) {
  const CommandResult chat = Skeinctl({"chat", "--temperature=0", "What is 345 + 278?"});
  EXPECT_EQ(chat.out, "623\n") << chat.err;
  const CommandResult talk = Skeinctl({"chat", "--temperature=0"}, "6 x 5\nIs 772 odd?\n/quit\n");
  EXPECT_EQ(talk.out, "30\nNo.\n") << talk.err;
  EXPECT_EQ(Skeinctl({"models"}).out, "demo\n");
  const CommandResult tokens = Skeinctl({"tokenize", "Hello"});
  EXPECT_EQ(tokens.exit_status, 0) << tokens.err;
  EXPECT_FALSE(tokens.out.empty());
  const CommandResult complete = Skeinctl({"complete", "--max-tokens=4", "--seed=1", "Once"});
  EXPECT_EQ(complete.exit_status, 0) << complete.err;
  EXPECT_EQ(complete.out, Skeinctl({"complete", "--max-tokens=4", "--seed=1", "Once"}).out);
  const CommandResult refused = Skeinctl({"chat", "--model=nobody", "Hi"});
  EXPECT_EQ(refused.exit_status, 1);
  EXPECT_TRUE(absl::StrContains(refused.err, "nobody")) << refused.err;
}

TEST_F(SkeinctlE2eTest, BenchChecksEveryAnswer) {
  for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{
           {}, {"--no-stream"}, {"--stop-at-eos"}, {"--json"}, {"--grpc=" + worker_->address()}}) {
    std::vector<std::string> args = {"bench", "--concurrency=16", "--requests=48",
                                     "--prompt-tokens=40", "--max-tokens=24"};
    args.insert(args.end(), more.begin(), more.end());
    const CommandResult bench = Skeinctl(args);
    EXPECT_EQ(bench.exit_status, 0) << bench.out << bench.err;
    EXPECT_TRUE(absl::StrContains(bench.out, "48")) << bench.out;
  }
}

}  // namespace
}  // namespace skein
