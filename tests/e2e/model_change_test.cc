// A worker's model is replaced while clients stream through a gateway.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/testing/golden.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The content of a whole answer, or of all chunks of a streamed one that came to its end.
std::string TextOf(const std::string& body) {
  const std::string field = "\"content\":\"";
  const bool streamed = absl::StartsWith(body, "data: ");
  if (streamed && !absl::StrContains(body, "data: [DONE]")) return "(cut off)";
  std::string text;
  for (size_t at = body.find(field); at != body.npos; at = body.find(field, at)) {
    at += field.size();
    text += body.substr(at, body.find('"', at) - at);
  }
  return text;
}

class ModelChangeE2eTest : public testing::Test {
 protected:
  ModelChangeE2eTest() : folder_(fs::path(testing::TempDir()) / absl::StrCat("models", getpid())) {
    for (const char* name : {"torn", "strange"}) {
      fs::create_directories(folder_ / name);
      for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json",
                               "generation_config.json", "model.safetensors"}) {
        fs::copy_file(SourcePath(absl::StrCat("deploy/demo-model/", file)), folder_ / name / file);
      }
    }
    fs::resize_file(folder_ / "torn/model.safetensors", 6'000'000);
    std::ofstream(folder_ / "strange/config.json") << R"({"num_hidden_layers": 77})";
  }
  ~ModelChangeE2eTest() override { fs::remove_all(folder_); }

  void StartWorker(std::vector<std::string> flags = {}) {
    flags.insert(flags.end(), {"--model-root", SourcePath("deploy"), "--model-root", folder_});
    auto worker = WorkerServer::Start({.flags = flags});
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    auto gateway = GatewayServer::Start({worker_->address()});
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
  }
  CommandResult Models(std::vector<std::string> args) {
    args.insert(args.begin(), {SKEINCTL, "models"});
    args.push_back("--grpc=" + worker_->address());
    const auto result = RunCommand(args);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(CommandResult());
  }
  // The answer's body; `status` gets its code.
  std::string Ask(const std::string& model, int* status = nullptr, bool stream = false) {
    HttpClient client(gateway_->port(), Patience(60));
    const auto response = client.Post(
        "/v1/chat/completions",
        absl::StrCat(R"({"temperature":0,"max_tokens":16,"model":")", model, R"(","stream":)",
                     stream ? "true" : "false",
                     R"(,"messages":[{"role":"user","content":"What is 803 plus 802?"}]})"));
    if (!response.ok()) return std::string(response.status().message());
    if (status != nullptr) *status = response->status;
    return response->body;
  }
  // True once the gateway serves it.
  bool WaitFor(const std::string& model) {
    const absl::Time deadline = absl::Now() + Patience(30);
    while (absl::Now() < deadline) {
      int status = 0;
      if (absl::StrContains(Ask(model, &status), "1605") && status == 200) return true;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return false;
  }
  int64_t ResidentBytes() {
    std::ifstream file(absl::StrCat("/proc/", worker_->process().pid(), "/statm"));
    int64_t pages = 0, resident = 0;
    file >> pages >> resident;
    return resident * sysconf(_SC_PAGESIZE);
  }

  const fs::path folder_;
  std::unique_ptr<WorkerServer> worker_;
  std::unique_ptr<GatewayServer> gateway_;
};

TEST_F(ModelChangeE2eTest, StreamsFinishOnTheModelThatTheyBeganWith) {
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  EXPECT_THAT(Models({}).out, StartsWith("demo\thybrid\t"));
  std::atomic<bool> stop{false};
  std::atomic<int> whole{0}, wrong{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, i] {
      while (!stop) {
        for (const char* model : {"demo", "second"}) {
          int status = 0;
          const std::string answer = Ask(model, &status, /*stream=*/i % 2 == 0);
          if (status == 200) ++(TextOf(answer) == "1605" ? whole : wrong);
          if (status != 200 && status != 404 && status != 503) ++wrong;
        }
      }
    });
  }
  while (whole < 8) absl::SleepFor(absl::Milliseconds(5));
  const CommandResult loaded = Models({"load", "second", "demo-model"});
  EXPECT_EQ(loaded.exit_status, 0) << loaded.err;
  EXPECT_THAT(loaded.out, StartsWith("second\thybrid\t"));
  EXPECT_THAT(loaded.err, HasSubstr("0 of "));
  const int before = whole;
  EXPECT_TRUE(WaitFor("second"));
  while (whole < before + 8) absl::SleepFor(absl::Milliseconds(5));
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
  int status = 0;
  Ask("demo", &status);
  EXPECT_EQ(status, 404);
}

TEST_F(ModelChangeE2eTest, FailedLoadsLeaveAWorkerThatServes) {
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  for (const auto& [path, error] :
       std::vector<std::pair<std::string, std::string>>{{"torn", "model.safetensors"},
                                                        {"strange", "layers"},
                                                        {"none", "no such file"},
                                                        {"../docs", "without \"..\""},
                                                        {"/etc/passwd", "is not in a directory"}}) {
    SCOPED_TRACE(path);
    const CommandResult failed = Models({"load", "second", path});
    EXPECT_EQ(failed.exit_status, path == "../docs" ? 2 : 1);
    EXPECT_THAT(failed.err, HasSubstr(error));
    EXPECT_THAT(Ask("demo"), HasSubstr("\"1605\""));
  }
  EXPECT_EQ(Models({"unload", "demo"}).exit_status, 0);
  EXPECT_EQ(Models({}).out, "");
  int status = 0;
  const absl::Time deadline = absl::Now() + Patience(30);
  do {
    Ask("demo", &status);
  } while (status == 200 && absl::Now() < deadline);
  EXPECT_EQ(status, 503);
  EXPECT_EQ(Models({"load", "demo", "demo-model"}).exit_status, 0);
  EXPECT_TRUE(WaitFor("demo"));
  EXPECT_TRUE(StopCleanly(worker_->process()).ok());
}

TEST_F(ModelChangeE2eTest, TwentyReplacementsTakeNoMoreMemoryThanAFew) {
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  int64_t after_five = 0, most = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string name = absl::StrCat("model-", i % 3);
    ASSERT_EQ(Models({"load", name, "demo-model"}).exit_status, 0);
    ASSERT_TRUE(WaitFor(name));
    if (i == 4) after_five = ResidentBytes();
    most = std::max(most, i > 4 ? ResidentBytes() : 0);
  }
  std::printf("resident after five loads: %.1f MB, at most later: %.1f MB\n", after_five / 1e6,
              most / 1e6);
  if (!UnderAddressSanitizer()) {
    EXPECT_LT(most, after_five + (8 << 20));
  }
}

}  // namespace
}  // namespace skein
