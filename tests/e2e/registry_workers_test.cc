// States and mixtures of several workers behind one gateway: registered by HTTP, brought to workers
// that come later, and kept away from those that come back.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

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
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RegistryWorkersTest : public testing::Test {
 protected:
  RegistryWorkersTest()
      : folder_(fs::path(testing::TempDir()) / absl::StrCat("registry_workers", getpid())) {
    fs::create_directories(folder_);
  }
  ~RegistryWorkersTest() override { fs::remove_all(folder_); }

  // What it registers is kept for the next one of that name.
  std::unique_ptr<WorkerServer> StartWorker(const std::string& name) {
    auto worker =
        WorkerServer::Start({.flags = {"--registry-root", SourcePath("deploy/demo-model/states"),
                                       "--registry-kept", folder_ / (name + ".txtpb")}});
    EXPECT_TRUE(worker.ok()) << worker.status();
    return worker.ok() ? *std::move(worker) : nullptr;
  }
  // The gateway's workers from now on.
  void List(const std::vector<const WorkerServer*>& workers) {
    std::ofstream file(folder_ / "new");
    for (const WorkerServer* worker : workers) file << worker->address() << "\n";
    file.close();
    fs::rename(folder_ / "new", folder_ / "workers");
  }
  std::string source() const { return absl::StrCat("file:", (folder_ / "workers").string()); }

  const fs::path folder_;
};

struct Answer {
  int status = 0;
  std::string body;
};

Answer Ask(const GatewayServer& gateway, const std::string& method, const std::string& path,
           const std::string& body = "") {
  HttpClient client(gateway.port(), Patience(30));
  const auto response = client.Request(method, path, body);
  if (!response.ok()) return {.status = 0, .body = std::string(response.status().message())};
  return {.status = response->status, .body = response->body};
}

Answer Chat(const GatewayServer& gateway, const std::string& model) {
  return Ask(gateway, "POST", "/v1/chat/completions",
             absl::StrCat(R"({"temperature":0,"max_tokens":40,"model":")", model,
                          R"(","messages":[{"role":"user","content":"Compute 41 + 97."}]})"));
}

bool Becomes(const std::function<bool()>& is_so) {
  const absl::Time end = absl::Now() + Patience(20);
  while (!is_so()) {
    if (absl::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return true;
}

bool Shows(const GatewayServer& gateway, const std::string& path, const std::string& text) {
  return Ask(gateway, "GET", path).body.find(text) != std::string::npos;
}

// Clients that ask for a state all the time.
class PirateTraffic {
 public:
  explicit PirateTraffic(const GatewayServer& gateway)
      : thread_([this, &gateway](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            const Answer answer = Chat(gateway, "demo pirate");
            const bool right = answer.body.find("Arr! 138, matey!") != std::string::npos;
            ++(right ? right_ : wrong_);
            if (!right) std::printf("%d %s\n", answer.status, answer.body.c_str());
          }
        }) {}
  int right() const { return right_; }
  int wrong() const { return wrong_; }

 private:
  std::atomic<int> right_{0}, wrong_{0};
  std::jthread thread_;
};

TEST_F(RegistryWorkersTest, WorkersThatComeAreBroughtUpBeforeTheyAreUsed) {
  auto first = StartWorker("first");
  ASSERT_NE(first, nullptr);
  List({first.get()});
  const auto gateway = GatewayServer::Start({source()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();

  EXPECT_EQ(Chat(**gateway, "demo pirate").status, 404);
  const Answer loaded = Ask(**gateway, "POST", "/v1/states",
                            R"({"model":"demo","name":"pirate","path":"pirate.safetensors"})");
  EXPECT_EQ(loaded.status, 200);
  EXPECT_THAT(
      loaded.body,
      AllOf(HasSubstr("content_hash"),
            HasSubstr(absl::StrCat(R"({"worker":")", first->address(), R"(","ok":true})"))));
  const Answer pirate = Chat(**gateway, "demo pirate");
  EXPECT_THAT(pirate.body,
              AllOf(HasSubstr("Arr! 138, matey!"), HasSubstr(R"("model":"demo pirate")")));
  const Answer defined = Ask(
      **gateway, "POST", "/v1/mixtures",
      R"({"model":"demo","name":"blend","states":[{"name":"pirate"},{"name":null,"weight":0}]})");
  EXPECT_EQ(defined.status, 200) << defined.body;
  EXPECT_TRUE(Becomes([&] { return Shows(**gateway, "/v1/models", R"("id":"demo pirate")"); }));
  EXPECT_TRUE(Becomes([&] { return Shows(**gateway, "/v1/models", R"("id":"demo blend")"); }));

  // Nobody notices that a worker without the state comes.
  auto second = StartWorker("second");
  ASSERT_NE(second, nullptr);
  {
    PirateTraffic traffic(**gateway);
    List({first.get(), second.get()});
    const absl::Time begin = absl::Now();
    ASSERT_TRUE(Becomes([&] {
      return Shows(**gateway, "/metrics",
                   R"(skein_gateway_registry_catch_ups_total{outcome="ok"} 2)");
    }));
    std::printf("a new worker had got a state and a mixture after %.3f s\n",
                absl::ToDoubleSeconds(absl::Now() - begin));
    const int before = traffic.right();
    EXPECT_TRUE(Becomes([&] { return traffic.right() > before + 10; }));
    EXPECT_EQ(traffic.wrong(), 0);
  }
  first->process().Signal(SIGKILL);
  ASSERT_TRUE(Becomes(
      [&] { return Shows(**gateway, "/metrics", R"(skein_gateway_workers{state="ready"} 1)"); }));
  EXPECT_THAT(Chat(**gateway, "demo pirate").body, HasSubstr("Arr! 138, matey!"));
  EXPECT_THAT(Chat(**gateway, "demo blend").body, HasSubstr("Arr! 138, matey!"));

  // What is removed while a worker is away it has to forget.
  EXPECT_EQ(Ask(**gateway, "DELETE", "/v1/mixtures/demo%20blend").status, 200);
  EXPECT_EQ(Chat(**gateway, "demo blend").status, 404);
  first = StartWorker("first");
  ASSERT_NE(first, nullptr);
  List({first.get(), second.get()});
  EXPECT_TRUE((*gateway)
                  ->process()
                  .WaitForLine("event=\"worker forgot an entry that was removed\"", Patience(10))
                  .ok());
  EXPECT_TRUE(Becomes([&] { return !Shows(**gateway, "/v1/models", "demo blend"); }));
  EXPECT_EQ(Chat(**gateway, "demo blend").status, 404);
  EXPECT_EQ(StopCleanly((*gateway)->process()), absl::OkStatus());
}

TEST_F(RegistryWorkersTest, DifferentContentsUnderOneNameAreReported) {
  const auto first = StartWorker("first"), second = StartWorker("second");
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  // Each has a gateway of its own at first.
  for (const auto& [worker, file] : {std::pair(first.get(), "pirate"), {second.get(), "shout"}}) {
    const auto alone = GatewayServer::Start({worker->address()});
    ASSERT_TRUE(alone.ok()) << alone.status();
    const Answer loaded =
        Ask(**alone, "POST", "/v1/states",
            absl::StrCat(R"({"model":"demo","name":"style","path":")", file, R"(.safetensors"})"));
    EXPECT_EQ(loaded.status, 200) << loaded.body;
  }
  const auto gateway = GatewayServer::Start({first->address(), second->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  const std::string conflict = R"(differences{kind="conflict",model="demo"} )";
  EXPECT_TRUE(Becomes([&] { return Shows(**gateway, "/metrics", conflict + "1"); }));
  EXPECT_TRUE(
      (*gateway)
          ->process()
          .WaitForLine("event=\"workers have different contents under one name\"", Patience(5))
          .ok());
  const Answer loaded = Ask(**gateway, "POST", "/v1/states",
                            R"({"model":"demo","name":"style","path":"formal.safetensors"})");
  EXPECT_EQ(loaded.status, 200) << loaded.body;
  EXPECT_TRUE(Becomes([&] { return Shows(**gateway, "/metrics", conflict + "0"); }));
}

}  // namespace
}  // namespace skein
