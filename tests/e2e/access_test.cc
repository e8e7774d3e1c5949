// Keys and TLS over both hops, with real processes.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/testing/http_client.h"
#include "tests/testing/test_certificates.h"
#include "tests/testing/tls_client.h"

namespace skein {
namespace {

constexpr char kSum[] =
    R"({"model":"demo","temperature":0,"messages":[{"role":"user","content":"What is 345 + 278?"}]})";
// Goes on for some seconds.
constexpr char kStream[] =
    R"({"model":"demo","stream":true,"ignore_eos":true,"max_tokens":1000,"prompt":"Tell me a story"})";

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + Patience(15);
  while (!condition() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(50));
  return condition();
}

class AccessE2eTest : public testing::Test {
 protected:
  AccessE2eTest() {
    std::filesystem::create_directories(folder_);
    Write("ca.pem", authority_.certificate());
    Install("worker", authority_.Issue({.name = "worker"}));
    Install("gateway", authority_.Issue({.name = "gateway"}));
    Install("client", authority_.Issue({.name = "client of workers", .hosts = ""}));
    client_.ca = authority_.certificate();
  }
  ~AccessE2eTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name + ".new")) << text;
    std::filesystem::rename(Path(name + ".new"), Path(name));
  }
  void Install(const std::string& name, const TestCertificate& issued) const {
    Write(name + ".key", issued.key);
    Write(name + ".pem", issued.certificate);
  }

  // Adds a key to the file and returns its text.
  std::string NewKey(std::vector<std::string> options) {
    std::vector<std::string> command = {SKEINCTL, "keys", "new"};
    command.insert(command.end(), options.begin(), options.end());
    const auto result = RunCommand(command);
    EXPECT_TRUE(result.ok() && result->exit_status == 0) << result.status();
    keys_ += result->out;
    Write("keys.txtpb", keys_);
    const std::vector<std::string> lines = absl::StrSplit(result->err, '\n');
    return lines.at(1);
  }

  void StartWorker() {
    auto worker = WorkerServer::Start(
        {.config = absl::StrCat("tls { certificate: '", Path("worker.pem"), "' key: '",
                                Path("worker.key"), "' client_ca: '", Path("ca.pem"), "' }")});
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
  }
  std::unique_ptr<GatewayServer> StartGateway(const std::string& worker_tls) {
    auto gateway = GatewayServer::Start(
        {worker_->address()},
        absl::StrCat("keys_file: '", Path("keys.txtpb"), "' tls { certificate: '",
                     Path("gateway.pem"), "' key: '", Path("gateway.key"), "' } worker_tls { ca: '",
                     Path("ca.pem"), "' ", worker_tls, "}"),
        /*wait=*/false);
    EXPECT_TRUE(gateway.ok()) << gateway.status();
    return *std::move(gateway);
  }
  std::string ClientCertificate() const {
    return absl::StrCat("certificate: '", Path("client.pem"), "' key: '", Path("client.key"), "'");
  }
  // With status 0 and the error as the body if there was no answer.
  ClientResponse Ask(const GatewayServer& gateway, const std::string& method,
                     const std::string& path, const std::string& key,
                     const std::string& body = "") {
    TlsClient client(gateway.port(), client_, Patience(20));
    const auto response =
        client.Request(method, path, body, {{"authorization", absl::StrCat("Bearer ", key)}});
    if (response.ok()) return *response;
    ClientResponse none;
    none.body = response.status().ToString();
    return none;
  }
  bool Ready(const GatewayServer& gateway) {
    return Ask(gateway, "GET", "/readyz", "").status == 200;
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / absl::StrCat("skein-access-", getpid());
  const TestAuthority authority_;
  TlsClientOptions client_;
  std::string keys_;
  std::unique_ptr<WorkerServer> worker_;
};

TEST_F(AccessE2eTest, AKeyOpensTheWayThroughBothHops) {
  const std::string user = NewKey({"--name=user", "--role=inference", "--requests-per-minute=600",
                                   "--tokens-per-minute=100000", "--max-parallel=4"});
  const std::string scraper = NewKey({"--name=prometheus", "--role=metrics"});
  StartWorker();
  const auto gateway = StartGateway(ClientCertificate());
  ASSERT_TRUE(Eventually([&] { return Ready(*gateway); }));

  const ClientResponse sum = Ask(*gateway, "POST", "/v1/chat/completions", user, kSum);
  EXPECT_EQ(sum.status, 200) << sum.body;
  EXPECT_TRUE(absl::StrContains(sum.body, "623")) << sum.body;
  EXPECT_EQ(sum.Header("x-ratelimit-remaining-requests"), "599");
  for (const std::string& wrong : {std::string(), user + "x", scraper}) {
    const ClientResponse refused = Ask(*gateway, "POST", "/v1/chat/completions", wrong, kSum);
    EXPECT_EQ(refused.status, wrong == scraper ? 403 : 401) << refused.body;
  }
  const std::string metrics = Ask(*gateway, "GET", "/metrics", scraper).body;
  for (const char* certificate : {"server", "worker_ca", "worker_client"}) {
    EXPECT_TRUE(absl::StrContains(
        metrics, absl::StrCat("skein_gateway_certificate_expiry_timestamp_seconds{certificate=\"",
                              certificate, "\"}")))
        << metrics;
  }
  EXPECT_TRUE(
      absl::StrContains(metrics, "skein_gateway_refused_requests_total{reason=\"role\"} 1"));
  EXPECT_GT(worker_->Metric("skein_worker_certificate_expiry_timestamp_seconds").value_or(0), 1e9);
  EXPECT_EQ(StopCleanly(gateway->process()), absl::OkStatus());
  EXPECT_EQ(StopCleanly(worker_->process()), absl::OkStatus());
}

TEST_F(AccessE2eTest, KeysAndCertificatesChangeUnderAStream) {
  const std::string old_key = NewKey({"--name=old", "--role=inference"});
  StartWorker();
  const auto gateway = StartGateway(ClientCertificate());
  ASSERT_TRUE(Eventually([&] { return Ready(*gateway); }));
  TlsClient stream(gateway->port(), client_, Patience(20));
  ASSERT_TRUE(stream
                  .Send("POST", "/v1/completions", kStream,
                        {{"authorization", absl::StrCat("Bearer ", old_key)}})
                  .ok());
  ASSERT_EQ(stream.ReadHead().value().status, 200);

  keys_.clear();
  const std::string new_key = NewKey({"--name=new", "--role=inference"});
  Install("gateway", authority_.Issue({.name = "gateway, renewed"}));
  Install("worker", authority_.Issue({.name = "worker, renewed"}));
  Install("client", authority_.Issue({.name = "client, renewed", .hosts = ""}));
  EXPECT_TRUE(Eventually([&] {
    return TlsClient(gateway->port(), client_).peer_name() == "gateway, renewed" &&
           Ask(*gateway, "GET", "/v1/models", new_key).status == 200;
  }));
  EXPECT_EQ(Ask(*gateway, "GET", "/v1/models", old_key).status, 401);
  int events = 0;
  std::string last;
  for (auto event = stream.NextEvent(); event.ok() && event->has_value();
       event = stream.NextEvent()) {
    ++events;
    last = (*event)->data;
  }
  EXPECT_EQ(last, "[DONE]");
  EXPECT_GT(events, 2);
}

TEST_F(AccessE2eTest, AGatewayWithoutACertificateReachesNoWorker) {
  NewKey({"--name=user", "--role=inference"});
  StartWorker();
  const auto outside = StartGateway("");
  const auto wrong_name =
      StartGateway(absl::StrCat(ClientCertificate(), " server_name: 'elsewhere.example'"));
  const auto inside = StartGateway(absl::StrCat(ClientCertificate(), " server_name: 'localhost'"));
  EXPECT_TRUE(Eventually([&] { return Ready(*inside); }));
  EXPECT_FALSE(Ready(*outside));
  EXPECT_FALSE(Ready(*wrong_name));
}

TEST_F(AccessE2eTest, WithoutKeysItListensForThisMachineAlone) {
  const auto refused = RunCommand({SKEIN_GATEWAY, "--listen", "0.0.0.0:0"});
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->exit_status, 2);
  EXPECT_TRUE(absl::StrContains(refused->err, "there are no API keys")) << refused->err;
  auto allowed =
      ChildProcess::Start("gateway", {SKEIN_GATEWAY, "--listen", "0.0.0.0:0", "--allow-no-keys"});
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_TRUE((*allowed)->WaitForLine("event=\"no API keys", Patience(10)).ok());
  EXPECT_TRUE((*allowed)->WaitForLine("event=\"listening\"", Patience(10)).ok());
}

}  // namespace
}  // namespace skein
