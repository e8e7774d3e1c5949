// Requests that are huge, malformed or many at a time, sent to a real gateway: each is refused or
// answered, nothing stays behind, and others are served.
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/faults/fleet.h"
#include "tests/faults/footprint.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

constexpr int64_t kMaxBody = 16 << 20;  // the gateway's default

std::string Repeated(absl::string_view text, size_t times) {
  std::string all;
  all.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i) all.append(text.data(), text.size());
  return all;
}

std::string Post(const std::string& headers, const std::string& body) {
  return absl::StrCat("POST /v1/completions HTTP/1.1\r\nHost: x\r\n", headers, "\r\n", body);
}

std::string Sized(const std::string& body) {
  return Post(absl::StrCat("Content-Length: ", body.size(), "\r\n"), body);
}

std::string Chunked(const std::string& chunks) {
  return Post("Transfer-Encoding: chunked\r\n", chunks);
}

class HttpFaultsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto worker = StartScripted();
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    auto gateway = GatewayServer::Start({worker_->address()});
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    StreamLoad warm_up({.port = gateway_->port(), .streams = 50, .tokens = 5});
    ASSERT_EQ(warm_up.Tally().Count(StreamEnd::kWhole), 50);
    leaks_ =
        std::make_unique<LeakCheck>(*gateway_, std::vector<const WorkerServer*>{worker_.get()});
  }

  // The status of the first answer; 0 if the connection closed without one.
  int StatusOf(const std::string& bytes) const {
    HttpClient client(gateway_->port(), Patience(30));
    client.SendRaw(bytes).IgnoreError();  // the server may close before it has read everything
    const auto response = client.ReadResponse();
    return response.ok() ? response->status : 0;
  }

  void ExpectUnharmed(int64_t slack_bytes = 32 << 20) const {
    EXPECT_EQ(ServesRight(*gateway_, 5), absl::OkStatus());
    EXPECT_EQ(leaks_->WaitUntilFree(Patience(10), slack_bytes), absl::OkStatus());
  }

  std::unique_ptr<WorkerServer> worker_;
  std::unique_ptr<GatewayServer> gateway_;
  std::unique_ptr<LeakCheck> leaks_;
};

TEST_F(HttpFaultsTest, MalformedFramingIsRefused) {
  struct Case {
    const char* name;
    std::string bytes;
    int status;
  };
  const std::string json = R"({"model":"demo","prompt":"x","max_tokens":1})";
  const std::vector<Case> cases = {
      {"two lengths", Post("Content-Length: 5\r\nContent-Length: 6\r\n", "12345"), 400},
      {"a length and chunks",
       Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {"chunks and a length",
       Post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400},
      {"a negative length", Post("Content-Length: -1\r\n", ""), 400},
      {"a length with a sign", Post("Content-Length: +5\r\n", "12345"), 400},
      {"a length that overflows", Post("Content-Length: 99999999999999999999999\r\n", ""), 400},
      {"a coding beside chunked", Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
      {"a coding of its own", Post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501},
      {"a chunk size that overflows", Chunked("fffffffffffffffff\r\n"), 400},
      {"a chunk larger than the limit", Chunked("7fffffff\r\n"), 413},
      {"a negative chunk size", Chunked("-1\r\n\r\n"), 400},
      {"a chunk without its line end", Chunked("2\r\n{}X0\r\n\r\n"), 400},
      {"a chunk without a size", Chunked("\r\n0\r\n\r\n"), 400},
      {"an endless chunk extension", Chunked("1;" + std::string(1 << 20, 'x')), 431},
      {"endless trailers", Chunked("0\r\n" + Repeated("X: y\r\n", 100000)), 431},
      {"a header without a colon", "GET / HTTP/1.1\r\nHost x\r\n\r\n", 400},
      {"a space before the colon", "GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n", 400},
      {"a NUL in a header", std::string("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", 31), 400},
      {"no host", "GET /healthz HTTP/1.1\r\n\r\n", 400},
      {"two hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"HTTP/2 without being asked", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"HTTP/0.9", "GET /\r\n\r\n", 400},
      {"an unknown expectation", Post("Expect: 200-maybe\r\nContent-Length: 2\r\n", "{}"), 417},
      {"a compressed body",
       Post(absl::StrCat("Content-Encoding: gzip\r\nContent-Length: ", json.size(), "\r\n"), json),
       400},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(StatusOf(c.bytes), c.status);
  }
  ExpectUnharmed();
}

TEST_F(HttpFaultsTest, FloodsOfHeadersAreRefused) {
  EXPECT_EQ(StatusOf(absl::StrCat("GET /healthz HTTP/1.1\r\nHost: x\r\n",
                                  Repeated("a: b\r\n", 100000), "\r\n")),
            431);
  EXPECT_EQ(StatusOf("GET /" + std::string(1 << 20, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"), 431);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([this] {
      const std::string flood = "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(1 << 20, 'x');
      for (int request = 0; request < 20; ++request) EXPECT_EQ(StatusOf(flood), 431);
    });
  }
  threads.clear();
  ExpectUnharmed();
}

TEST_F(HttpFaultsTest, HugeBodiesAreReadOrRefusedAndForgotten) {
  // What is dear to parse: many small values, deep nesting, long texts, many keys.
  const size_t half = kMaxBody / 2;
  const std::vector<std::string> bodies = {
      absl::StrCat(R"({"model":"demo","prompt":")", std::string(half, 'a'), "\"}"),
      absl::StrCat(R"({"model":"demo","prompt":[)", Repeated("1,", half / 2), "1]}"),
      absl::StrCat(R"({"model":"demo","prompt":[)", Repeated("[],", half / 3), "[]]}"),
      absl::StrCat(R"({"model":"demo","prompt":)", std::string(half, '['), "}"),
      std::string(half, '{'),
      std::string(half, ' '),
      absl::StrCat("{\"", std::string(half, 'k'), "\":1}"),
  };
  for (const std::string& body : bodies) {
    SCOPED_TRACE(body.substr(0, 40));
    EXPECT_EQ(StatusOf(Sized(body)), 400);
  }
  EXPECT_EQ(StatusOf(Sized(std::string(kMaxBody + 1, ' '))), 413);
  std::vector<std::jthread> threads;
  int64_t most = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this, &bodies, i] {
      for (size_t request = 0; request < 4; ++request) {
        EXPECT_EQ(StatusOf(Sized(bodies[(static_cast<size_t>(i) + request) % bodies.size()])), 400);
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    most = std::max(most, gateway_->process().rss_bytes());
    absl::SleepFor(absl::Milliseconds(100));
  }
  threads.clear();
  std::cout << "8 bodies of 8 MiB at a time: at most " << (most >> 20) << " MiB, afterwards "
            << (gateway_->process().rss_bytes() >> 20) << " MiB\n";
  ExpectUnharmed(int64_t{400} << 20);
}

TEST_F(HttpFaultsTest, ManyTinyChunksAreOneBody) {
  const std::string json = absl::StrCat(
      R"({"model":"demo","max_tokens":3,"temperature":0,"prompt":"x"})", std::string(200000, ' '));
  std::string chunks;
  for (const char c : json) absl::StrAppend(&chunks, "1\r\n", std::string(1, c), "\r\n");
  const Stopwatch watch;
  EXPECT_EQ(StatusOf(Chunked(chunks + "0\r\n\r\n")), 200);
  std::cout << json.size() << " chunks of one byte: " << watch.seconds() << " s\n";
  ExpectUnharmed();
}

TEST_F(HttpFaultsTest, PipelinedRequestsAreAnsweredInOrder) {
  constexpr int kRequests = 2000;
  HttpClient client(gateway_->port(), Patience(30));
  std::string all;
  for (int i = 0; i < kRequests; ++i) {
    absl::StrAppend(&all, "GET /healthz HTTP/1.1\r\nHost: x\r\nx-request-id: id-", i, "\r\n\r\n");
  }
  std::jthread sender([&client, &all] { EXPECT_EQ(client.SendRaw(all), absl::OkStatus()); });
  for (int i = 0; i < kRequests; ++i) {
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << i << ": " << response.status();
    ASSERT_EQ(response->Header("x-request-id"), absl::StrCat("id-", i));
  }
  sender.join();
  client.Close();
  ExpectUnharmed();
}

TEST_F(HttpFaultsTest, RequestsBehindAStreamWaitForItsEnd) {
  const std::string stream =
      R"({"model":"demo","stream":true,"max_tokens":20,"prompt":"x","temperature":0})";
  HttpClient client(gateway_->port(), Patience(30));
  std::string behind;
  for (int i = 0; i < 3000; ++i)
    absl::StrAppend(&behind, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  std::jthread sender([&] { EXPECT_EQ(client.SendRaw(Sized(stream) + behind), absl::OkStatus()); });
  ASSERT_EQ(client.ReadHead().value().status, 200);
  int events = 0;
  for (auto event = client.NextEvent(); event.ok() && event->has_value();
       event = client.NextEvent())
    ++events;
  EXPECT_GT(events, 1);
  for (int i = 0; i < 3000; ++i) {
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << i << ": " << response.status();
  }
  sender.join();
  client.Close();
  ExpectUnharmed();
}

}  // namespace
}  // namespace skein
