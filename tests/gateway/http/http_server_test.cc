// A request's way through the server: parsing, answering, keeping connections, draining.
#include "gateway/http/http_server.h"

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/gateway/http/test_server.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

TEST(HttpServerTest, AnswersARequest) {
  TestServer server(Echo);
  HttpClient client(server.port());
  const auto response = client.Request("POST", "/a%20b/c?x=1&y=%20", "body");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->version, "HTTP/1.1");
  EXPECT_EQ(response->body, "POST /a b/c x=1&y=%20 body");
  EXPECT_EQ(response->Header("content-type"), "text/plain");
  EXPECT_EQ(response->Header("server"), "skein");
  EXPECT_THAT(response->Header("date"), HasSubstr("GMT"));
  EXPECT_THAT(response->Header("x-request-id"), HasSubstr("req-"));
}

TEST(HttpServerTest, ServesManyRequestsOnOneConnection) {
  TestServer server(Echo);
  HttpClient client(server.port());
  for (int i = 0; i < 100; ++i) {
    const auto response = client.Get(absl::StrCat("/", i));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, absl::StrCat("GET /", i, "  "));
  }
}

TEST(HttpServerTest, PassesHeadersInLowerCase) {
  TestServer server([](const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
    SendText(*out, std::string(request.Header("x-one")) + "|" +
                       std::string(request.Header("x-two")) + "|" +
                       std::string(request.Header("x-three")));
  });
  HttpClient client(server.port());
  const auto response = client.Request("GET", "/", "", {{"X-One", "a b"}, {"x-TWO", ""}});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->body, "a b||");
}

TEST(HttpServerTest, EchoesSaneRequestIdsAndReplacesOthers) {
  TestServer server(Echo);
  HttpClient client(server.port());
  for (const char* id : {"abc-123", "A.b_c:d/e+f=g@h"}) {
    const auto response = client.Request("GET", "/", "", {{"x-request-id", id}});
    ASSERT_TRUE(response.ok());
    EXPECT_EQ(response->Header("x-request-id"), id);
  }
  for (const std::string& id :
       {std::string("with blank"), std::string("quote\""), std::string(129, 'a')}) {
    const auto response = client.Request("GET", "/", "", {{"x-request-id", id}});
    ASSERT_TRUE(response.ok());
    EXPECT_THAT(response->Header("x-request-id"), HasSubstr("req-"));
  }
}

TEST(HttpServerTest, ReadsChunkedBodies) {
  TestServer server(Echo);
  HttpClient client(server.port());
  ASSERT_TRUE(client
                  .SendRaw("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
                           "3;ext=1\r\nabc\r\n")
                  .ok());
  absl::SleepFor(absl::Milliseconds(20));
  ASSERT_TRUE(client.SendRaw("4\r\ndefg\r\n0\r\ntrailer: x\r\n\r\n").ok());
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "POST /  abcdefg");
  EXPECT_EQ(client.Get("/next")->body, "GET /next  ");
}

TEST(HttpServerTest, ReadsChunkedBodiesThatComeByBytes) {
  TestServer server(Echo);
  for (const std::string body : {"0\r\n\r\n", "0;x\r\nA: b\r\n\r\n", "1\r\nx\r\n0\r\n\r\n"}) {
    HttpClient client(server.port());
    ASSERT_TRUE(
        client.SendRaw("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").ok());
    for (const char byte : body) {
      absl::SleepFor(absl::Milliseconds(5));
      ASSERT_TRUE(client.SendRaw(std::string(1, byte)).ok());
    }
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 200);
  }
}

TEST(HttpServerTest, ReadsARequestThatComesByteByByte) {
  TestServer server(Echo);
  HttpClient client(server.port());
  const std::string text = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
  for (const char byte : text) {
    ASSERT_TRUE(client.SendRaw(std::string(1, byte)).ok());
    absl::SleepFor(absl::Microseconds(200));
  }
  EXPECT_EQ(client.ReadResponse()->body, "POST /x  hello");
}

TEST(HttpServerTest, AnswersExpectContinueBeforeTheBody) {
  TestServer server(Echo);
  HttpClient client(server.port());
  ASSERT_TRUE(client
                  .SendRaw("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n"
                           "content-length: 4\r\n\r\n")
                  .ok());
  EXPECT_EQ(client.ReadHead()->status, 100);
  ASSERT_TRUE(client.SendRaw("body").ok());
  EXPECT_EQ(client.ReadResponse()->body, "POST /  body");
}

TEST(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  // The first answer comes last, from another thread.
  std::vector<std::thread> threads;
  TestServer server([&](const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
    if (request.path != "/0") return Echo(request, out);
    threads.emplace_back([request, out] {
      absl::SleepFor(absl::Milliseconds(100));
      Echo(request, out);
    });
  });
  HttpClient client(server.port());
  std::string requests;
  for (int i = 0; i < 20; ++i)
    absl::StrAppend(&requests, "GET /", i, " HTTP/1.1\r\nhost: a\r\n\r\n");
  ASSERT_TRUE(client.SendRaw(requests).ok());
  for (int i = 0; i < 20; ++i) {
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, absl::StrCat("GET /", i, "  "));
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(HttpServerTest, SendsNoBodyForHead) {
  TestServer server(Echo);
  HttpClient client(server.port());
  const auto response = client.Request("HEAD", "/x");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->Header("content-length"), "9");
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(client.Get("/after")->body, "GET /after  ");
}

TEST(HttpServerTest, KeepsConnectionsOpenAsTheVersionAndTheHeaderSay) {
  struct Case {
    const char* request;
    bool stays_open;
  };
  for (const Case& c : {
           Case{"GET / HTTP/1.1\r\nhost: a\r\n\r\n", true},
           Case{"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", false},
           Case{"GET / HTTP/1.0\r\n\r\n", false},
           Case{"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", true},
       }) {
    SCOPED_TRACE(c.request);
    TestServer server(Echo);
    HttpClient client(server.port());
    ASSERT_TRUE(client.SendRaw(c.request).ok());
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, "GET /  ");
    EXPECT_EQ(response->Header("connection") == "close", !c.stays_open);
    EXPECT_EQ(client.WaitForClose(absl::Milliseconds(150)), !c.stays_open);
  }
}

TEST(HttpServerTest, AnswersADroppedRequestWith500) {
  TestServer server([](const HttpRequest&, std::shared_ptr<HttpResponder>) {});
  HttpClient client(server.port());
  const auto response = client.Get("/");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 500);
  EXPECT_THAT(response->body, HasSubstr("\"type\":\"server_error\""));
}

TEST(HttpServerTest, AnswersAHandlerThatThrewWith500) {
  TestServer server([](const HttpRequest&, std::shared_ptr<HttpResponder>) {
    throw std::runtime_error("a bug");
  });
  EXPECT_EQ(HttpGet(server.port(), "/")->status, 500);
}

TEST(HttpServerTest, SendsALargeAnswerWhole) {
  const std::string large(20 << 20, 'x');
  TestServer server(
      [&](const HttpRequest&, std::shared_ptr<HttpResponder> out) { SendText(*out, large); });
  const auto response = HttpGet(server.port(), "/");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(response->body == large);
}

TEST(HttpServerTest, ServesAThousandConnectionsAtOnce) {
  HttpServerOptions options;
  options.threads = 2;
  TestServer server(Echo, options);
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(std::make_unique<HttpClient>(server.port()));
    ASSERT_TRUE(clients.back()->status().ok()) << i << ": " << clients.back()->status();
  }
  for (int round = 0; round < 2; ++round) {
    for (auto& client : clients) ASSERT_TRUE(client->Send("GET", "/x").ok());
    for (auto& client : clients) {
      const auto response = client->ReadResponse();
      ASSERT_TRUE(response.ok()) << response.status();
      EXPECT_EQ(response->body, "GET /x  ");
    }
  }
  EXPECT_EQ(server.metrics.connections.Value(), 1000);
}

TEST(HttpServerTest, TellsWhenTheClientOfAPlainRequestLeaves) {
  std::atomic<bool> left{false};
  std::shared_ptr<HttpResponder> kept;
  TestServer server([&](const HttpRequest&, std::shared_ptr<HttpResponder> out) {
    out->OnDisconnect([&] { left = true; });
    kept = std::move(out);
  });
  for (const bool abort : {false, true}) {
    left = false;
    HttpClient client(server.port());
    ASSERT_TRUE(client.Send("POST", "/", "x").ok());
    absl::SleepFor(absl::Milliseconds(50));
    EXPECT_FALSE(left);
    abort ? client.Abort() : client.Close();
    for (int i = 0; i < 100 && !left; ++i) absl::SleepFor(absl::Milliseconds(10));
    EXPECT_TRUE(left);
    SendText(*kept, "too late");
  }
}

TEST(HttpServerTest, RefusesAnAddressInUseAndOneThatIsNone) {
  TestServer server(Echo);
  HttpServerOptions options;
  options.listen = server.server->address();
  const auto second = HttpServer::Start(options, Echo, server.metrics);
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
  options.listen = "8080";
  EXPECT_TRUE(absl::IsInvalidArgument(HttpServer::Start(options, Echo, server.metrics).status()));
}

TEST(HttpServerTest, StopFinishesOpenAnswersAndThenListensNoMore) {
  std::thread answering;
  std::atomic<bool> asked{false};
  TestServer server([&](const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
    answering = std::thread([request, out] {
      absl::SleepFor(absl::Milliseconds(200));
      Echo(request, out);
    });
    asked = true;
  });
  HttpClient idle(server.port());
  HttpClient busy(server.port());
  ASSERT_TRUE(busy.Send("GET", "/slow").ok());
  while (!asked) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_TRUE(server.server->Stop(absl::Seconds(5)));
  answering.join();
  const auto response = busy.ReadResponse();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "GET /slow  ");
  EXPECT_EQ(response->Header("connection"), "close");
  EXPECT_TRUE(idle.WaitForClose(absl::Seconds(1)));
  EXPECT_FALSE(HttpClient(server.port()).status().ok());
}

// Answers /slow when told to, everything else at once.
class SlowAnswer {
 public:
  HttpHandler handler() {
    return [this](const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
      if (request.path != "/slow") return Echo(request, std::move(out));
      kept_ = std::move(out);
      asked_ = true;
    };
  }
  void WaitAsked() const {
    while (!asked_) absl::SleepFor(absl::Milliseconds(1));
  }
  void Answer() { SendText(*kept_, "at last"); }

 private:
  std::atomic<bool> asked_{false};
  std::shared_ptr<HttpResponder> kept_;
};

TEST(HttpServerTest, WhileItDrainsNewRequestsAreAnsweredOnceAndIdleConnectionsClosed) {
  SlowAnswer slow;
  TestServer server(slow.handler());
  HttpClient used(server.port()), fresh(server.port()), busy(server.port());
  ASSERT_TRUE(used.Get("/before").ok());
  ASSERT_TRUE(busy.Send("GET", "/slow").ok());
  slow.WaitAsked();
  std::atomic<bool> stopped{false};
  std::thread stopping([&] {
    EXPECT_TRUE(server.server->Stop(absl::Seconds(30)));
    stopped = true;
  });
  EXPECT_TRUE(used.WaitForClose(absl::Seconds(10)));
  HttpClient late(server.port());
  for (HttpClient* client : {&fresh, &late}) {
    const auto response = client->Get("/during");
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, "GET /during  ");
    EXPECT_EQ(response->Header("connection"), "close");
  }
  EXPECT_FALSE(stopped);
  slow.Answer();
  const auto response = busy.ReadResponse();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "at last");
  stopping.join();
  EXPECT_FALSE(HttpClient(server.port()).status().ok());
}

TEST(HttpServerTest, LateConnectionsDoNotHoldTheDrainUp) {
  SlowAnswer slow;
  HttpServerOptions options;
  options.linger = absl::Milliseconds(50);
  TestServer server(slow.handler(), options);
  HttpClient busy(server.port());
  ASSERT_TRUE(busy.Send("GET", "/slow").ok());
  slow.WaitAsked();
  std::thread stopping([&] { EXPECT_TRUE(server.server->Stop(absl::Seconds(60))); });
  HttpClient silent(server.port()), half(server.port());
  ASSERT_TRUE(half.SendRaw("GET / HTTP/1.1\r\nho").ok());
  const absl::Time start = absl::Now();
  slow.Answer();
  stopping.join();
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
}

TEST(HttpServerTest, AThreadThatAHandlerHoldsIsSilent) {
  std::atomic<bool> held{false}, release{false};
  HttpServerOptions options;
  options.keep_alive = absl::Milliseconds(40);  // a fine tick
  TestServer server(
      [&](const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
        held = true;
        while (!release) absl::SleepFor(absl::Milliseconds(1));
        Echo(request, std::move(out));
      },
      options);
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  while (!held) absl::SleepFor(absl::Milliseconds(1));
  const auto is_silent = [&](bool wanted) {
    for (int i = 0; i < 3000; ++i) {
      if (options.heartbeats->Silent(absl::Milliseconds(200)).empty() != wanted) return true;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return false;
  };
  EXPECT_TRUE(is_silent(true));
  EXPECT_EQ(options.heartbeats->Silent(absl::Milliseconds(100)), "skein-http-0");
  release = true;
  EXPECT_TRUE(is_silent(false));
  EXPECT_TRUE(client.ReadResponse().ok());
}

TEST(HttpServerTest, StopCutsWhatIsLeftAfterTheDrain) {
  std::atomic<int> left{0};
  std::vector<std::shared_ptr<HttpResponder>> kept;
  TestServer server([&](const HttpRequest&, std::shared_ptr<HttpResponder> out) {
    out->OnDisconnect([&] { ++left; });
    kept.push_back(std::move(out));
  });
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/never").ok());
  absl::SleepFor(absl::Milliseconds(50));
  const absl::Time start = absl::Now();
  EXPECT_FALSE(server.server->Stop(absl::Milliseconds(100)));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  EXPECT_EQ(left, 1);
  SendText(*kept[0], "the connection is gone, and the server too");
}

}  // namespace
}  // namespace skein
