// The server over TLS: handshakes, certificates that change, and what plain HTTP has tests for.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include <openssl/ssl.h>

#include "tests/gateway/http/test_server.h"
#include "tests/testing/http_client.h"
#include "tests/testing/test_certificates.h"
#include "tests/testing/tls_client.h"

namespace skein {
namespace {

bool WaitFor(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) absl::SleepFor(absl::Milliseconds(10));
  return condition();
}

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    std::filesystem::create_directories(folder_);
    Install(authority_.Issue({.name = "first"}));
    options_.tls.set_certificate(folder_ / "certificate.pem");
    options_.tls.set_key(folder_ / "key.pem");
    client_.ca = authority_.certificate();
  }
  ~TlsTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / (name + ".new")) << text;
    std::filesystem::rename(folder_ / (name + ".new"), folder_ / name);
  }
  void Install(const TestCertificate& issued) {
    Write("certificate.pem", issued.certificate);
    Write("key.pem", issued.key);
  }
  void Start(HttpHandler handler = Echo) {
    server_ = std::make_unique<TestServer>(std::move(handler), options_);
  }
  std::string ServerName() { return TlsClient(server_->port(), client_).peer_name(); }
  double Metric(const std::string& name, const MetricLabels& labels) {
    return server_->registry.AddGauge(name, "", labels).Value();
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      absl::StrCat("skein-tls-", std::chrono::steady_clock::now().time_since_epoch().count());
  const TestAuthority authority_;
  HttpServerOptions options_;
  TlsClientOptions client_;
  std::unique_ptr<TestServer> server_;
};

TEST_F(TlsTest, ServesRequestsOneAfterTheOther) {
  Start();
  TlsClient client(server_->port(), client_);
  ASSERT_TRUE(client.status().ok()) << client.status();
  EXPECT_EQ(client.protocol(), "http/1.1");
  EXPECT_EQ(client.version(), "TLSv1.3");
  for (const size_t size : {0, 10, 5000, 300000}) {
    const auto response = client.Post("/x?y=1", std::string(size, 'b'));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, absl::StrCat("POST /x y=1 ", std::string(size, 'b')));
  }
}

TEST_F(TlsTest, ServesPipelinedRequestsAndBodiesInPieces) {
  Start();
  TlsClient client(server_->port(), client_);
  ASSERT_TRUE(client.Send("GET", "/1").ok());
  ASSERT_TRUE(client.Send("GET", "/2").ok());
  EXPECT_EQ(client.ReadResponse()->body, "GET /1  ");
  EXPECT_EQ(client.ReadResponse()->body, "GET /2  ");
  ASSERT_TRUE(client.SendRaw("POST /3 HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n").ok());
  for (const char* piece : {"a", "b", "c", "d"}) {
    absl::SleepFor(absl::Milliseconds(5));
    ASSERT_TRUE(client.SendRaw(piece).ok());
  }
  EXPECT_EQ(client.ReadResponse()->body, "POST /3  abcd");
}

TEST_F(TlsTest, OlderVersionsAndOtherProtocolsAreRefused) {
  Start();
  client_.max_version = TLS1_2_VERSION;
  EXPECT_EQ(TlsClient(server_->port(), client_).version(), "TLSv1.2");
  client_.max_version = TLS1_1_VERSION;
  EXPECT_FALSE(TlsClient(server_->port(), client_).status().ok());
  client_.max_version = 0;
  client_.protocols = "h2";
  EXPECT_FALSE(TlsClient(server_->port(), client_).status().ok());
  client_.protocols = "";
  EXPECT_TRUE(TlsClient(server_->port(), client_).status().ok());
  HttpClient plain(server_->port());
  ASSERT_TRUE(plain.Send("GET", "/").ok());
  EXPECT_TRUE(plain.WaitForClose(absl::Seconds(5)));
  EXPECT_TRUE(WaitFor([&] { return server_->metrics.tls_handshake_failures.Value() == 3; }));
}

TEST_F(TlsTest, ASilentHandshakeEndsWithTheReadTimeout) {
  options_.read_timeout = absl::Milliseconds(200);
  Start();
  HttpClient client(server_->port());
  const absl::Time start = absl::Now();
  EXPECT_TRUE(client.WaitForClose(absl::Seconds(10)));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(150));
}

TEST_F(TlsTest, ASlowRequestIsToldSo) {
  options_.read_timeout = absl::Milliseconds(200);
  Start();
  TlsClient client(server_->port(), client_);
  ASSERT_TRUE(client.SendRaw("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc").ok());
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 408);
}

TEST_F(TlsTest, AClientThatLeavesIsNoticedWhileItsAnswerIsMade) {
  std::atomic<bool> left{false};
  std::shared_ptr<HttpResponder> kept;
  Start([&](const HttpRequest&, std::shared_ptr<HttpResponder> out) {
    out->OnDisconnect([&] { left = true; });
    kept = std::move(out);
  });
  for (const bool politely : {true, false}) {
    left = false;
    auto client = std::make_unique<TlsClient>(server_->port(), client_);
    ASSERT_TRUE(client->Send("GET", "/").ok());
    absl::SleepFor(absl::Milliseconds(50));
    EXPECT_FALSE(left);
    politely ? client->ShutdownWrite() : client->Abort();
    EXPECT_TRUE(WaitFor([&] { return left.load(); }));
  }
  server_.reset();
}

TEST_F(TlsTest, StreamsEventsAndTakesTheNextRequestAfterwards) {
  std::vector<std::thread> writers;
  Start([&](const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
    if (request.path == "/echo") return Echo(request, std::move(out));
    writers.emplace_back([writer = out->StartEvents()] {
      for (int i = 0; i < 200; ++i) writer->Event(absl::StrCat(i, std::string(i * 10, 'x')));
      writer->Close();
    });
  });
  TlsClient client(server_->port(), client_);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(client.Send("GET", "/events").ok());
    ASSERT_TRUE(client.ReadHead().ok());
    // The next request arrives while the stream goes on.
    ASSERT_TRUE(client.Send("GET", "/echo").ok());
    for (int i = 0; i < 200; ++i) {
      const auto event = client.NextEvent();
      ASSERT_TRUE(event.ok() && event->has_value()) << event.status();
      EXPECT_EQ((*event)->data, absl::StrCat(i, std::string(i * 10, 'x')));
    }
    EXPECT_FALSE(client.NextEvent()->has_value());
    EXPECT_EQ(client.ReadResponse()->body, "GET /echo  ");
  }
  for (std::thread& writer : writers) writer.join();
}

TEST_F(TlsTest, TheLastAnswerEndsWithAFarewell) {
  Start();
  TlsClient client(server_->port(), client_);
  ASSERT_TRUE(client.Send("GET", "/", "", {{"connection", "close"}}).ok());
  ASSERT_TRUE(client.ReadResponse().ok());
  const auto more = client.ReadHead();
  EXPECT_EQ(more.status().message(), "the server closed the connection");  // not cut
}

TEST_F(TlsTest, ANewCertificateIsForNewConnections) {
  Start();
  TlsClient old(server_->port(), client_);
  EXPECT_EQ(old.peer_name(), "first");
  const absl::Time end = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()) + 7200);
  Install(authority_.Issue({.name = "second", .end = end}));
  EXPECT_TRUE(WaitFor([&] { return ServerName() == "second"; }));
  EXPECT_EQ(old.Get("/")->status, 200);
  EXPECT_EQ(
      Metric("skein_gateway_certificate_expiry_timestamp_seconds", {{"certificate", "server"}}),
      static_cast<double>(absl::ToUnixSeconds(end)));
}

TEST_F(TlsTest, ABrokenPairChangesNothing) {
  Start();
  const auto stale = [&] { return Metric("skein_gateway_stale_file", {{"file", "certificate"}}); };
  const TestCertificate second = authority_.Issue({.name = "second"});
  Write("certificate.pem", second.certificate);  // the key is still the first one's
  EXPECT_TRUE(WaitFor([&] { return stale() == 1; }));
  EXPECT_EQ(ServerName(), "first");
  Write("key.pem", "nonsense");
  absl::SleepFor(absl::Milliseconds(1500));
  EXPECT_EQ(stale(), 1);
  EXPECT_EQ(ServerName(), "first");
  Write("key.pem", second.key);
  EXPECT_TRUE(WaitFor([&] { return ServerName() == "second"; }));
  EXPECT_TRUE(WaitFor([&] { return stale() == 0; }));
}

TEST_F(TlsTest, WithAClientAuthorityClientsMustShowACertificate) {
  const TestAuthority other("other");
  Write("ca.pem", authority_.certificate());
  options_.tls.set_client_ca(folder_ / "ca.pem");
  Start();
  struct Case {
    const char* name;
    TestCertificate shown;
    bool served;
  };
  for (const Case& c :
       {Case{"none", {}, false}, Case{"good", authority_.Issue(), true},
        Case{"other authority", other.Issue(), false},
        Case{"expired", authority_.Issue({.end = absl::Now() - absl::Minutes(1)}), false}}) {
    client_.certificate = c.shown.certificate;
    client_.key = c.shown.key;
    TlsClient client(server_->port(), client_);
    // With TLS 1.3 a client hears of its refusal when it reads.
    EXPECT_EQ(client.status().ok() && client.Get("/").ok(), c.served) << c.name;
  }
  Write("ca.pem", other.certificate());
  const TestCertificate shown = other.Issue();
  client_.certificate = shown.certificate;
  client_.key = shown.key;
  EXPECT_TRUE(WaitFor([&] {
    TlsClient client(server_->port(), client_);
    return client.status().ok() && client.Get("/").ok();
  }));
}

TEST_F(TlsTest, DoesNotStartWithFilesThatCannotBeUsed) {
  MetricsRegistry registry;
  GatewayMetrics metrics(registry);
  options_.listen = "127.0.0.1:0";
  const auto start = [&] { return HttpServer::Start(options_, Echo, metrics).status(); };
  Write("key.pem", TestAuthority().Issue().key);
  EXPECT_TRUE(absl::IsInvalidArgument(start())) << start();
  EXPECT_NE(start().message().find("not the private key"), std::string::npos);
  Write("certificate.pem", "none");
  EXPECT_NE(start().message().find("no certificate in PEM format"), std::string::npos);
  std::filesystem::remove(folder_ / "certificate.pem");
  EXPECT_TRUE(absl::IsNotFound(start())) << start();
}

}  // namespace
}  // namespace skein
