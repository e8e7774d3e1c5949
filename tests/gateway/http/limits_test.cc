// Sizes, times and numbers that a client cannot exceed.
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/gateway/http/test_server.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

HttpServerOptions Small() {
  HttpServerOptions options;
  options.max_body_bytes = 1000;
  options.max_header_bytes = 2000;
  options.linger = absl::Milliseconds(500);
  return options;
}

HttpServerOptions Quick() {
  HttpServerOptions options;
  options.idle_timeout = absl::Milliseconds(600);
  options.read_timeout = absl::Milliseconds(200);
  options.write_timeout = absl::Milliseconds(300);
  options.linger = absl::Milliseconds(200);
  return options;
}

std::string Chunked(const std::string& chunk, int count) {
  std::string request = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
  for (int i = 0; i < count; ++i) {
    absl::StrAppend(&request, absl::Hex(chunk.size()), "\r\n", chunk, "\r\n");
  }
  return request + "0\r\n\r\n";
}

TEST(LimitsTest, SizesAreRefusedWithTheirStatus) {
  struct Case {
    const char* name;
    std::string request;
    int status;
  };
  const std::string head = "GET / HTTP/1.1\r\nhost: a\r\n";
  const std::string post = "POST / HTTP/1.1\r\nhost: a\r\n";
  std::string many_headers = head;
  for (int i = 0; i < 300; ++i) absl::StrAppend(&many_headers, "h", i, ": x\r\n");
  TestServer server(Echo, Small());
  for (const Case& c : {
           Case{"largest body", post + "content-length: 1000\r\n\r\n" + std::string(1000, 'x'),
                200},
           Case{"body too large", post + "content-length: 1001\r\n\r\n" + std::string(1001, 'x'),
                413},
           Case{"announced body too large", post + "content-length: 1000000000000\r\n\r\n", 413},
           Case{"not asked to continue",
                post + "expect: 100-continue\r\ncontent-length: 1001\r\n\r\n", 413},
           Case{"largest chunked body", Chunked(std::string(100, 'x'), 10), 200},
           Case{"chunked body too large", Chunked(std::string(100, 'x'), 11), 413},
           Case{"one chunk too large", Chunked(std::string(5000, 'x'), 1), 413},
           Case{"chunk extension too large",
                post + "transfer-encoding: chunked\r\n\r\n1;" + std::string(200000, 'e'), 431},
           Case{"large header", head + "a: " + std::string(1800, 'x') + "\r\n\r\n", 200},
           Case{"header too large", head + "a: " + std::string(2100, 'x') + "\r\n\r\n", 431},
           Case{"header without end", head + "a: " + std::string(100000, 'x'), 431},
           Case{"too many headers", many_headers + "\r\n", 431},
           Case{"target too long", "GET /" + std::string(3000, 'x') + " HTTP/1.1\r\n\r\n", 431},
       }) {
    SCOPED_TRACE(c.name);
    HttpClient client(server.port(), absl::Seconds(3));
    ASSERT_TRUE(client.SendRaw(c.request).ok());
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, c.status) << response->body;
  }
}

TEST(LimitsTest, AClientThatSendsALargeBodyStillReadsTheRefusal) {
  TestServer server(Echo, Small());
  HttpClient client(server.port());
  const auto response = client.Request("POST", "/", std::string(4 << 20, 'x'));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 413);
}

TEST(LimitsTest, LargeBodiesAreReadOnlyIfTheHeadIsGood) {
  HttpServerOptions options;
  std::atomic<int> asked{0};
  options.check_head = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
    ++asked;
    if (request.path == "/good") return std::nullopt;
    HttpResponse response;
    response.status = 401;
    return response;
  };
  TestServer server(Echo, options);
  const std::string large(HttpServerOptions::kLargeBodyBytes + 1, 'x');
  EXPECT_EQ(HttpPost(server.port(), "/bad", std::string(1000, 'x'))->status, 200);
  EXPECT_EQ(HttpGet(server.port(), "/bad")->status, 200);
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(HttpPost(server.port(), "/good", large)->status, 200);
  EXPECT_EQ(asked, 1);
  HttpClient client(server.port());
  ASSERT_TRUE(client
                  .SendRaw("POST /bad HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n"
                           "content-length: 10000000\r\n\r\n")
                  .ok());
  EXPECT_EQ(client.ReadResponse()->status, 401);  // and no 100 before
  HttpClient chunked(server.port());
  ASSERT_TRUE(
      chunked.SendRaw("POST /bad HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n")
          .ok());
  EXPECT_EQ(chunked.ReadResponse()->status, 401);
}

TEST(LimitsTest, ASlowRequestIsRefused) {
  TestServer server(Echo, Quick());
  for (const std::string& begin :
       {std::string("GET / HTTP/1.1\r\nhost"),
        std::string("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")}) {
    SCOPED_TRACE(begin);
    HttpClient client(server.port());
    const absl::Time start = absl::Now();
    ASSERT_TRUE(client.SendRaw(begin).ok());
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 408);
    EXPECT_GE(absl::Now() - start, absl::Milliseconds(190));
    EXPECT_LT(absl::Now() - start, absl::Seconds(2));
    EXPECT_TRUE(client.WaitForClose(absl::Seconds(2)));
  }
}

TEST(LimitsTest, DripFeedingDoesNotExtendTheTime) {
  TestServer server(Echo, Quick());
  HttpClient client(server.port());
  const absl::Time start = absl::Now();
  ASSERT_TRUE(client.SendRaw("GET / HTTP/1.1\r\nhost: a\r\nx: ").ok());
  while (absl::Now() - start < absl::Milliseconds(150)) {
    ASSERT_TRUE(client.SendRaw("x").ok());
    absl::SleepFor(absl::Milliseconds(10));
  }
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 408);
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
}

TEST(LimitsTest, AnIdleConnectionIsClosedSilently) {
  TestServer server(Echo, Quick());
  HttpClient fresh(server.port());
  HttpClient used(server.port());
  ASSERT_TRUE(used.Get("/").ok());
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_TRUE(used.Get("/").ok()) << "half the idle time is no reason to close";
  EXPECT_TRUE(fresh.WaitForClose(absl::Seconds(2)));
  EXPECT_TRUE(absl::IsUnavailable(used.ReadResponse().status()));
}

TEST(LimitsTest, AWaitingAnswerIsNoIdleConnection) {
  std::promise<std::shared_ptr<HttpResponder>> kept;
  TestServer server(
      [&](const HttpRequest&, std::shared_ptr<HttpResponder> out) { kept.set_value(out); },
      Quick());
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  const std::shared_ptr<HttpResponder> out = kept.get_future().get();
  absl::SleepFor(absl::Milliseconds(1000));
  SendText(*out, "at last");
  EXPECT_EQ(client.ReadResponse()->body, "at last");
}

TEST(LimitsTest, AClientThatDoesNotReadIsDisconnected) {
  TestServer server(
      [](const HttpRequest&, std::shared_ptr<HttpResponder> out) {
        SendText(*out, std::string(64 << 20, 'x'));
      },
      Quick());
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  while (server.metrics.connections.Value() == 0) absl::SleepFor(absl::Milliseconds(1));
  while (server.metrics.connections.Value() > 0 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(server.metrics.connections.Value(), 0);
}

TEST(LimitsTest, ASlowReaderIsServedAsLongAsItReads) {
  const std::string large(8 << 20, 'x');
  TestServer server(
      [&](const HttpRequest&, std::shared_ptr<HttpResponder> out) { SendText(*out, large); },
      Quick());
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  // Longer than the write timeout in all, never that long without reading.
  ASSERT_TRUE(client.ReadHead().ok());
  size_t received = 0;
  char bytes[512 << 10];
  while (received + sizeof(bytes) < large.size()) {
    absl::SleepFor(absl::Milliseconds(40));
    const ssize_t size = recv(client.fd(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size == 0) break;
    if (size > 0) received += static_cast<size_t>(size);
  }
  EXPECT_GT(received, large.size() / 2);
}

TEST(LimitsTest, TooManyConnectionsAreToldSo) {
  HttpServerOptions options;
  options.max_connections = 3;
  TestServer server(Echo, options);
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<HttpClient>(server.port()));
    ASSERT_TRUE(clients.back()->Get("/").ok());
  }
  HttpClient one_more(server.port());
  const auto refusal = one_more.Get("/");
  ASSERT_TRUE(refusal.ok()) << refusal.status();
  EXPECT_EQ(refusal->status, 503);
  EXPECT_EQ(refusal->Header("retry-after"), "1");
  EXPECT_THAT(refusal->body, HasSubstr("too_many_connections"));
  EXPECT_NE(refusal->Header("x-request-id"), "");
  EXPECT_TRUE(one_more.WaitForClose(absl::Seconds(3)));
  EXPECT_EQ(server.metrics.rejected_connections.Value(), 1);
  EXPECT_TRUE(clients[0]->Get("/").ok());

  clients.pop_back();
  for (int i = 0; i < 200 && server.metrics.connections.Value() > 2; ++i) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_EQ(HttpGet(server.port(), "/")->status, 200);
}

}  // namespace
}  // namespace skein
