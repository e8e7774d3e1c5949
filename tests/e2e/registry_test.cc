// Tuned states, mixtures and adapters of a worker process: from its manifest, by skeinctl, kept
// over restarts, and chosen by HTTP requests.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/testing/golden.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class RegistryE2eTest : public testing::Test {
 protected:
  RegistryE2eTest() : folder_(fs::path(testing::TempDir()) / absl::StrCat("registry", getpid())) {
    fs::create_directories(folder_);
    WriteManifest("pirate formal");
  }
  ~RegistryE2eTest() override { fs::remove_all(folder_); }

  // Names of states and adapters that come with the model, or "broken".
  void WriteManifest(const std::string& states) {
    std::ofstream file(folder_ / "manifest.txtpb");
    for (const char* name : {"pirate", "formal", "shout"}) {
      if (!absl::StrContains(states, name)) continue;
      file << "state { name: '" << name << "' path: '"
           << SourcePath(absl::StrCat("deploy/demo-model/states/", name, ".safetensors"))
           << "' }\n";
    }
    if (absl::StrContains(states, "words")) {
      file << "adapter { name: 'words' path: '"
           << SourcePath("deploy/demo-model/adapters/words.safetensors") << "' }\n";
    }
    if (states == "broken") file << "state {";
  }
  void StartWorker() {
    auto worker =
        WorkerServer::Start({.flags = {"--registry-manifest", folder_ / "manifest.txtpb",
                                       "--registry-root", SourcePath("deploy/demo-model/states"),
                                       "--registry-root", SourcePath("deploy/demo-model/adapters"),
                                       "--registry-kept", folder_ / "kept.txtpb"}});
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
  }
  CommandResult Skeinctl(std::vector<std::string> args) {
    args.insert(args.begin(), SKEINCTL);
    args.push_back("--grpc=" + worker_->address());
    const auto result = RunCommand(args);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(CommandResult());
  }
  std::string Adapters() { return Skeinctl({"adapters"}).out; }
  std::string States() { return Skeinctl({"states", "list"}).out; }
  // True once the worker says so.
  bool Reload(const std::string& event) {
    worker_->process().Signal(SIGHUP);
    return worker_->process().WaitForLine(absl::StrCat("event=\"", event), Patience(30)).ok();
  }

  const fs::path folder_;
  std::unique_ptr<WorkerServer> worker_;
};

std::string Ask(const GatewayServer& gateway, const std::string& more, int* status = nullptr) {
  HttpClient client(gateway.port(), Patience(30));
  const auto response =
      client.Post("/v1/chat/completions",
                  absl::StrCat(R"({"model":"demo","temperature":0,"max_tokens":40,)", more,
                               R"("messages":[{"role":"user","content":"Compute 41 + 97."}]})"));
  if (!response.ok()) return std::string(response.status().message());
  if (status != nullptr) *status = response->status;
  return response->body;
}

TEST_F(RegistryE2eTest, HttpRequestsChooseStatesAndMixtures) {
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  const auto gateway = GatewayServer::Start({worker_->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  EXPECT_THAT(Ask(**gateway, ""), HasSubstr("\"138\""));
  EXPECT_THAT(Ask(**gateway, R"("state":"pirate",)"), HasSubstr("\"Arr! 138, matey!\""));
  EXPECT_THAT(Ask(**gateway, R"("states":[{"name":"pirate"},{"name":"formal","weight":0}],)"),
              HasSubstr("\"Arr! 138, matey!\""));
  const auto chat = RunCommand({SKEINCTL, "chat", "--url", (*gateway)->url(), "--state=pirate",
                                "--temperature=0", "Compute 41 + 97."});
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_EQ(chat->out, "Arr! 138, matey!\n") << chat->err;
  int status = 0;
  EXPECT_THAT(Ask(**gateway, R"("state":"poet",)", &status),
              HasSubstr("has no state, mixture or adapter"));
  EXPECT_EQ(status, 404);
  const CommandResult defined =
      Skeinctl({"mixtures", "define", "blend", "pirate:1", ":0", "--temperature=0"});
  EXPECT_EQ(defined.out, "blend\tpirate:1 \"\":0\ttemperature 0\n") << defined.err;
  EXPECT_THAT(Ask(**gateway, R"("state":"blend",)"), HasSubstr("\"Arr! 138, matey!\""));
}

TEST_F(RegistryE2eTest, HttpRequestsChooseAdapters) {
  WriteManifest("pirate words");
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  const CommandResult loaded = Skeinctl({"adapters", "load", "numerals", "roman.safetensors"});
  EXPECT_EQ(loaded.exit_status, 0) << loaded.err;
  EXPECT_THAT(loaded.out, HasSubstr("numerals\tbone\t"));
  const auto gateway = GatewayServer::Start({worker_->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  EXPECT_THAT(Ask(**gateway, ""), HasSubstr("\"138\""));
  EXPECT_THAT(Ask(**gateway, R"("adapter":"words",)"),
              HasSubstr("\"one hundred and thirty eight\""));
  EXPECT_THAT(Ask(**gateway, R"("adapters":[{"name":"numerals"}],)"), HasSubstr("\"CXXXVIII\""));
  EXPECT_THAT(Ask(**gateway, R"("adapters":[{"name":"words","scale":0}],)"), HasSubstr("\"138\""));
  const char* const none_of_words = R"({"name":"words","scale":0})";
  const char* const numerals = R"({"name":"numerals"})";
  for (const std::string& both :
       {absl::StrCat(none_of_words, ",", numerals), absl::StrCat(numerals, ",", none_of_words)}) {
    EXPECT_THAT(Ask(**gateway, absl::StrCat("\"adapters\":[", both, "],")),
                HasSubstr("\"CXXXVIII\""));
  }
  const auto chat = RunCommand({SKEINCTL, "chat", "--url", (*gateway)->url(), "--adapter=words",
                                "--temperature=0", "Compute 41 + 97."});
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_EQ(chat->out, "one hundred and thirty eight\n") << chat->err;
  int status = 0;
  const std::string missing = Ask(**gateway, R"("adapter":"poet",)", &status);
  EXPECT_THAT(missing, HasSubstr("GET /v1/models lists"));
  EXPECT_THAT(missing, HasSubstr("adapter_not_found"));
  EXPECT_EQ(status, 404);
  ASSERT_EQ(Skeinctl({"adapters", "load", "json", "json.safetensors"}).exit_status, 0);
  EXPECT_THAT(Ask(**gateway, R"("adapters":[{"name":"json"},{"name":"numerals"}],)", &status),
              HasSubstr(R"(\"json\" and \"numerals\" cannot be used together)"));
  EXPECT_EQ(status, 400);
  for (const char* refused : {R"("adapter":"pirate",)", R"("state":"words",)",
                              R"("adapters":[{"name":"numerals","scale":2}],)",
                              R"("adapters":[{"name":"words"},{"name":"words"}],)"}) {
    Ask(**gateway, refused, &status);
    EXPECT_EQ(status, 400) << refused;
  }
}

TEST_F(RegistryE2eTest, AdaptersOutliveRestartsUntilTheyAreRemoved) {
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  ASSERT_EQ(Skeinctl({"adapters", "load", "numerals", "roman.safetensors"}).exit_status, 0);
  ASSERT_EQ(
      Skeinctl({"adapters", "load", "soft", "words.safetensors", "--scaling=0.5"}).exit_status, 0);
  const std::string before = Adapters();
  EXPECT_THAT(before, HasSubstr("soft\tlora\t"));
  EXPECT_TRUE(StopCleanly(worker_->process()).ok());
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  EXPECT_EQ(Adapters(), before);
  EXPECT_EQ(Skeinctl({"adapters", "remove", "soft"}).exit_status, 0);
  EXPECT_EQ(Skeinctl({"states", "remove", "numerals"}).exit_status, 1);
  EXPECT_EQ(Skeinctl({"adapters", "remove", "numerals"}).exit_status, 0);
  EXPECT_EQ(Adapters(), "");
}

TEST_F(RegistryE2eTest, SkeinctlListsLoadsAndRemoves) {
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  EXPECT_THAT(States(), HasSubstr("pirate\t"));
  const CommandResult loaded = Skeinctl({"states", "load", "loud", "shout.safetensors"});
  EXPECT_EQ(loaded.exit_status, 0) << loaded.err;
  EXPECT_THAT(loaded.out, HasSubstr("\tshout.safetensors"));
  const CommandResult outside = Skeinctl({"states", "load", "loud", "/etc/passwd"});
  EXPECT_EQ(outside.exit_status, 1);
  EXPECT_THAT(outside.err, HasSubstr("not in a directory that files may come from"));
  EXPECT_EQ(Skeinctl({"mixtures", "define", "m", "loud:1"}).exit_status, 0);
  EXPECT_THAT(Skeinctl({"states", "remove", "loud"}).err, HasSubstr("mixture \"m\""));
  EXPECT_EQ(Skeinctl({"mixtures", "define", "m", "loud"}).exit_status, 2);
  EXPECT_EQ(Skeinctl({"mixtures", "remove", "m"}).exit_status, 0);
  EXPECT_EQ(Skeinctl({"states", "remove", "loud"}).exit_status, 0);
  EXPECT_THAT(States(), Not(HasSubstr("loud")));
}

TEST_F(RegistryE2eTest, WhatIsRegisteredOutlivesReloadsAndRestarts) {
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  ASSERT_EQ(Skeinctl({"states", "load", "loud", "shout.safetensors"}).exit_status, 0);
  WriteManifest("broken");
  EXPECT_TRUE(Reload("manifest refused"));
  EXPECT_THAT(States(), HasSubstr("formal\t"));
  WriteManifest("pirate shout");
  EXPECT_TRUE(Reload("manifest read"));
  const std::string reloaded = States();
  EXPECT_THAT(reloaded, HasSubstr("loud\t"));
  EXPECT_THAT(reloaded, HasSubstr("shout\t"));
  EXPECT_THAT(reloaded, Not(HasSubstr("formal\t")));
  EXPECT_TRUE(StopCleanly(worker_->process()).ok());
  ASSERT_NO_FATAL_FAILURE(StartWorker());
  EXPECT_EQ(States(), reloaded);
  EXPECT_TRUE(StopCleanly(worker_->process()).ok());
  WriteManifest("broken");
  const auto refused = WorkerServer::Start(
      {.flags = {"--registry-manifest", folder_ / "manifest.txtpb"}, .wait = false});
  EXPECT_FALSE(refused.ok());
}

}  // namespace
}  // namespace skein
