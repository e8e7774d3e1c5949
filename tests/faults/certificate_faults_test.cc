// Certificates that are replaced, rightly and wrongly, while clients are served over TLS.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/faults/fleet.h"
#include "tests/faults/footprint.h"
#include "tests/testing/test_certificates.h"
#include "tests/testing/tls_client.h"

namespace skein {
namespace {

constexpr int kStreams = 100;
constexpr int kTokens = 200;  // ten seconds

class CertificateFaultsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    Install(authority_.Issue({.name = "number 0"}));
    auto worker = StartScripted();
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    const std::string config = absl::StrCat(
        "tls { certificate: \"", (folder_ / "certificate.pem").string(), "\" key: \"",
        (folder_ / "key.pem").string(), "\" } limits { read_timeout_s: 3 idle_timeout_s: 3 }");
    auto gateway = GatewayServer::Start({worker_->address()}, config, /*wait=*/false);
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    StreamLoad warm_up(Streams(5));
    ASSERT_EQ(warm_up.Tally().Count(StreamEnd::kWhole), kStreams) << warm_up.Tally().ToString();
    footprint_ = FootprintOf(gateway_->process());
  }
  ~CertificateFaultsTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / (name + ".new")) << text;
    std::filesystem::rename(folder_ / (name + ".new"), folder_ / name);
  }
  void Install(const TestCertificate& issued) const {
    Write("certificate.pem", issued.certificate);
    Write("key.pem", issued.key);
  }

  StreamLoad::Options Streams(int tokens) const {
    return {.streams = kStreams, .tokens = tokens, .connect = [this] { return Connect(); }};
  }
  std::unique_ptr<TlsClient> Connect() const {
    TlsClientOptions options;
    options.ca = authority_.certificate();
    return std::make_unique<TlsClient>(gateway_->port(), options, absl::Seconds(60));
  }
  // True once new connections are shown the certificate of `name`.
  bool WaitForName(const std::string& name) const {
    const Stopwatch watch;
    while (watch.elapsed() < Patience(10)) {
      if (Connect()->peer_name() == name) return true;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return false;
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / absl::StrCat("skein-certificates-", getpid());
  const TestAuthority authority_;
  std::unique_ptr<WorkerServer> worker_;
  std::unique_ptr<GatewayServer> gateway_;
  Footprint footprint_;
};

TEST_F(CertificateFaultsTest, StreamsGoOnWhileCertificatesChange) {
  StreamLoad load(Streams(kTokens));
  ASSERT_TRUE(load.WaitForText(kStreams, Patience(30)));
  for (int i = 1; i <= 3; ++i) {
    const std::string name = absl::StrCat("number ", i);
    Install(authority_.Issue({.name = name}));
    const Stopwatch watch;
    EXPECT_TRUE(WaitForName(name));
    std::cout << "certificate " << i << " was in use after " << watch.seconds() << " s\n";
  }
  // Neither of these can be used: what was good stays.
  Write("certificate.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n");
  absl::SleepFor(absl::Seconds(2));
  EXPECT_EQ(Connect()->peer_name(), "number 3");
  Write("certificate.pem", authority_.Issue({.name = "of another key"}).certificate);
  absl::SleepFor(absl::Seconds(2));
  EXPECT_EQ(Connect()->peer_name(), "number 3");
  std::filesystem::remove(folder_ / "key.pem");
  absl::SleepFor(absl::Seconds(2));
  EXPECT_EQ(Connect()->peer_name(), "number 3");
  Install(authority_.Issue({.name = "number 4"}));
  EXPECT_TRUE(WaitForName("number 4"));
  EXPECT_EQ(load.Tally().Count(StreamEnd::kWhole), kStreams) << load.Tally().ToString();
}

TEST_F(CertificateFaultsTest, HandshakesThatNeverEndHoldNobodyUp) {
  std::vector<std::unique_ptr<HttpClient>> silent, babbling;
  for (int i = 0; i < 200; ++i) {
    silent.push_back(std::make_unique<HttpClient>(gateway_->port(), absl::Seconds(20)));
    babbling.push_back(std::make_unique<HttpClient>(gateway_->port(), absl::Seconds(20)));
    babbling.back()->SendRaw("GET / HTTP/1.1\r\nHost: x\r\n\r\n").IgnoreError();
  }
  StreamLoad load(Streams(20));
  EXPECT_EQ(load.Tally().Count(StreamEnd::kWhole), kStreams);
  for (const auto& client : silent) EXPECT_TRUE(client->WaitForClose(Patience(10)));
  for (const auto& client : babbling) EXPECT_TRUE(client->WaitForClose(Patience(10)));
  const Stopwatch watch;
  while (FootprintOf(gateway_->process()).files > footprint_.files + 8 &&
         watch.elapsed() < Patience(10)) {
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_LE(FootprintOf(gateway_->process()).files, footprint_.files + 8);
}

}  // namespace
}  // namespace skein
