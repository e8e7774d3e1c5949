#include "common/config/worker_flags.h"

#include <cstdio>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

TEST(WorkerFlagsTest, EachFlagSetsItsField) {
  const absl::StatusOr<WorkerCommandLine> line = ParseWorkerCommandLine({"--model",
                                                                         "m",
                                                                         "--name",
                                                                         "n",
                                                                         "--tokenizer",
                                                                         "t",
                                                                         "--chat-format",
                                                                         "chatml",
                                                                         "--listen",
                                                                         "h:1",
                                                                         "--metrics-listen",
                                                                         "h:2",
                                                                         "--reflection",
                                                                         "--device",
                                                                         "cpu",
                                                                         "--threads",
                                                                         "3",
                                                                         "--max-sequences",
                                                                         "4",
                                                                         "--max-queue",
                                                                         "5",
                                                                         "--max-queue-tokens",
                                                                         "6",
                                                                         "--drain-timeout",
                                                                         "7",
                                                                         "--vllm-metrics",
                                                                         "--log-format",
                                                                         "json",
                                                                         "--access-log",
                                                                         "off",
                                                                         "--log-level",
                                                                         "debug"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_FALSE(line->help);
  EXPECT_EQ(
      line->config.ShortDebugString(),
      "listen: \"h:1\" metrics_listen: \"h:2\" model { path: \"m\" name: \"n\" tokenizer: \"t\" "
      "chat_format: \"chatml\" } engine { max_sequences: 4 max_queue: 5 threads: 3 device: \"cpu\" "
      "max_queue_tokens: 6 } reflection: true log_level: \"debug\" drain_timeout_s: 7 "
      "log_format: \"json\" vllm_metrics: true access_log: false");
}

TEST(WorkerFlagsTest, FlagsOverrideTheFileWhereverTheyStand) {
  const std::string path = ::testing::TempDir() + "/worker_flags_test.conf";
  std::ofstream(path) << "listen: 'file:1' model { path: 'from-file' stop: 'END' }";
  const absl::StatusOr<WorkerCommandLine> line =
      ParseWorkerCommandLine({"--listen", "flag:2", "--config", path});
  std::remove(path.c_str());
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->config.listen(), "flag:2");
  EXPECT_EQ(line->config.model().path(), "from-file");
  EXPECT_EQ(line->config.model().stop_size(), 1);
}

TEST(WorkerFlagsTest, RootsOfTheRegistryReplaceThoseOfTheFile) {
  const std::string path = ::testing::TempDir() + "/worker_flags_roots_test.conf";
  std::ofstream(path) << "registry { root: '/file' manifest: 'from-file' }";
  const std::vector<std::string> args = {
      "--config",        path, "--registry-root",     "/a", "--registry-root", "/b",
      "--registry-kept", "k",  "--registry-manifest", "m"};
  const absl::StatusOr<WorkerCommandLine> line = ParseWorkerCommandLine(args);
  std::remove(path.c_str());
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->config.registry().ShortDebugString(),
            "root: \"/a\" root: \"/b\" manifest: \"m\" kept: \"k\"");
}

TEST(WorkerFlagsTest, HelpNeedsNothingElse) {
  const absl::StatusOr<WorkerCommandLine> line =
      ParseWorkerCommandLine({"--config", "/nowhere", "--help"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_TRUE(line->help);
}

TEST(WorkerFlagsTest, TakesWhatToDoInsteadOfServing) {
  EXPECT_TRUE(ParseWorkerCommandLine({"--check-config"})->check_config);
  EXPECT_EQ(ParseWorkerCommandLine({"--health-check", "h:1/live"})->health_check, "h:1/live");
}

TEST(WorkerFlagsTest, AMissingFileIsNamed) {
  const absl::Status status = ParseWorkerCommandLine({"--config", "/nowhere"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere"));
}

TEST(WorkerFlagsTest, TheUsageNamesEveryFlagAndFitsATerminal) {
  const std::string usage = WorkerUsage();
  for (const char* flag : {"--model PATH",
                           "--name NAME",
                           "--tokenizer PATH",
                           "--chat-format NAME",
                           "--listen ADDR",
                           "--metrics-listen ADDR",
                           "--health-listen ADDR",
                           "--reflection",
                           "--device NAME",
                           "--threads N",
                           "--max-sequences N",
                           "--max-queue N",
                           "--max-queue-tokens N",
                           "--drain-timeout SECONDS",
                           "--config FILE",
                           "--log-level LEVEL",
                           "--log-format FORMAT",
                           "--access-log on|off",
                           "--vllm-metrics",
                           "--check-config",
                           "--health-check ADDR[/SERVICE]",
                           "--help"}) {
    EXPECT_THAT(usage, HasSubstr(std::string("  ") + flag));
  }
  size_t column = 0;
  for (const char c : usage) {
    column = c == '\n' ? 0 : column + 1;
    EXPECT_LE(column, 100u) << usage;
  }
}

}  // namespace
}  // namespace skein
