// Server-sent events: order, framing, keep-alive comments, clients that leave.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "tests/gateway/http/event_streams.h"
#include "tests/gateway/http/test_server.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

using Responder = std::shared_ptr<HttpResponder>;

TEST(EventStreamTest, SendsEventsInOrderFromTheHandlerItself) {
  TestServer server([](const HttpRequest&, Responder out) {
    const auto events = out->StartEvents();
    for (const char* data : {"one", "two", "[DONE]"}) events->Event(data);
    events->Close();
  });
  HttpClient client(server.port());
  for (int i = 0; i < 3; ++i) {  // the connection is kept
    ASSERT_TRUE(client.Send("POST", "/", "x").ok());
    const auto head = client.ReadHead();
    ASSERT_TRUE(head.ok()) << head.status();
    EXPECT_EQ(head->status, 200);
    EXPECT_EQ(head->Header("content-type"), "text/event-stream");
    EXPECT_EQ(head->Header("cache-control"), "no-cache");
    EXPECT_EQ(head->Header("x-accel-buffering"), "no");
    EXPECT_EQ(head->Header("transfer-encoding"), "chunked");
    EXPECT_EQ(head->Header("server"), "skein");
    EXPECT_EQ(ReadEvents(client), "one two [DONE] ");
  }
}

TEST(EventStreamTest, SendsEventsInOrderFromAnotherThread) {
  std::vector<std::thread> threads;
  TestServer server([&](const HttpRequest&, Responder out) {
    threads.emplace_back([out] {
      const auto events = out->StartEvents();
      for (int i = 0; i < 5000; ++i) events->Event(absl::StrCat(i));
      events->Close();
    });
  });
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  std::string expected;
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&expected, i, " ");
  EXPECT_EQ(ReadEvents(client), expected);
  for (std::thread& thread : threads) thread.join();
}

TEST(EventStreamTest, AnEventIsNotHeldBack) {
  std::shared_ptr<SseWriter> events;
  std::atomic<bool> started{false};
  TestServer server([&](const HttpRequest&, Responder out) {
    events = out->StartEvents();
    started = true;
  });
  HttpClient client(server.port(), absl::Seconds(2));
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok()) << "the head comes before any event";
  ASSERT_TRUE(started);
  for (int i = 0; i < 20; ++i) {
    events->Event(absl::StrCat(i));
    const auto event = client.NextEvent();
    ASSERT_TRUE(event.ok() && event->has_value()) << event.status();
    EXPECT_EQ((*event)->data, absl::StrCat(i));
  }
  events->Close();
  EXPECT_EQ(ReadEvents(client), "");
  events->Event("after the end");
}

TEST(EventStreamTest, CommentsKeepASilentStreamAlive) {
  HttpServerOptions options;
  options.keep_alive = absl::Milliseconds(50);
  std::shared_ptr<SseWriter> events;
  TestServer server([&](const HttpRequest&, Responder out) { events = out->StartEvents(); },
                    options);
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  const absl::Time start = absl::Now();
  for (int i = 0; i < 3; ++i) {
    const auto event = client.NextEvent();
    ASSERT_TRUE(event.ok() && event->has_value()) << event.status();
    EXPECT_EQ((*event)->comment, " keep-alive");
  }
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(140));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  events->Close();
  EXPECT_EQ(ReadEvents(client), "");
}

TEST(EventStreamTest, AHandlerMayStartItsStreamWhenTheClientHasWaitedForLong) {
  HttpServerOptions options;
  options.keep_alive = absl::Milliseconds(50);
  Responder kept;
  std::shared_ptr<SseWriter> events;
  TestServer server(
      [&](const HttpRequest&, Responder out) {
        kept = out;
        kept->OnSilence([&] { events = kept->StartEvents(); });
      },
      options);
  HttpClient client(server.port());
  const absl::Time start = absl::Now();
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(45));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.NextEvent().value()->comment, " keep-alive");
  events->Event("late");
  events->Close();
  EXPECT_EQ(ReadEvents(client), "late ");
}

TEST(EventStreamTest, AWholeAnswerMayTakeLongerThanTheTimeBetweenComments) {
  HttpServerOptions options;
  options.keep_alive = absl::Milliseconds(20);
  std::vector<std::thread> threads;
  TestServer server(
      [&](const HttpRequest&, Responder out) {
        threads.emplace_back([out] {
          absl::SleepFor(absl::Milliseconds(150));
          SendText(*out, "whole");
        });
      },
      options);
  HttpClient client(server.port());
  for (int i = 0; i < 2; ++i) {
    const auto response = client.Request("GET", "/");
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, "whole");
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(EventStreamTest, ABusyStreamHasNoComments) {
  HttpServerOptions options;
  options.keep_alive = absl::Milliseconds(400);
  std::vector<std::thread> threads;
  TestServer server(
      [&](const HttpRequest&, Responder out) {
        threads.emplace_back([events = out->StartEvents()] {
          for (int i = 0; i < 40; ++i) {
            events->Event("x");
            absl::SleepFor(absl::Milliseconds(20));
          }
          events->Close();
        });
      },
      options);
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  for (int i = 0; i < 40; ++i) EXPECT_EQ(client.NextEvent().value()->comment, "");
  for (std::thread& thread : threads) thread.join();
}

TEST(EventStreamTest, TellsAtOnceWhenTheClientLeaves) {
  for (const bool abort : {false, true}) {
    SCOPED_TRACE(abort ? "reset" : "close");
    std::atomic<int> left{0};
    std::shared_ptr<SseWriter> events;
    TestServer server([&](const HttpRequest&, Responder out) {
      out->OnDisconnect([&] { ++left; });
      events = out->StartEvents();
      events->Event("first");
    });
    HttpClient client(server.port());
    ASSERT_TRUE(client.Send("GET", "/").ok());
    ASSERT_TRUE(client.ReadHead().ok());
    ASSERT_TRUE(client.NextEvent().ok());
    EXPECT_EQ(server.metrics.open_streams.Value(), 1);
    const absl::Time start = absl::Now();
    abort ? client.Abort() : client.Close();
    ASSERT_TRUE(WaitUntil([&] { return left == 1; }));
    EXPECT_LT(absl::Now() - start, absl::Milliseconds(500));
    events->Event("nobody reads this");
    events->Close();
    EXPECT_TRUE(WaitUntil([&] { return server.metrics.open_streams.Value() == 0; }));
    EXPECT_EQ(left, 1);
  }
}

TEST(EventStreamTest, ACallbackThatComesTooLateRunsAtOnce) {
  std::atomic<bool> left{false};
  Responder kept;
  TestServer server([&](const HttpRequest&, Responder out) {
    out->OnDisconnect([&] { left = true; });
    kept = out;
  });
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(WaitUntil([&] { return server.metrics.connections.Value() == 1; }));
  absl::SleepFor(absl::Milliseconds(20));
  client.Close();
  ASSERT_TRUE(WaitUntil([&] { return left.load(); }));
  bool ran = false;
  kept->OnDisconnect([&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(EventStreamTest, NoCallbackAfterACompleteAnswer) {
  std::atomic<int> left{0};
  std::atomic<int> freed{0};
  TestServer server([&](const HttpRequest&, Responder out) {
    auto owned = std::shared_ptr<int>(new int(1), [&](const int* value) {
      delete value;
      ++freed;
    });
    out->OnDisconnect([&left, owned] { ++left; });
    const auto events = out->StartEvents();
    events->Event("x");
    events->Close();
  });
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  EXPECT_EQ(ReadEvents(client), "x ");
  EXPECT_TRUE(WaitUntil([&] { return freed == 1; })) << "the callback is dropped with the answer";
  client.Close();
  EXPECT_TRUE(WaitUntil([&] { return server.metrics.connections.Value() == 0; }));
  EXPECT_EQ(left, 0);
}

}  // namespace
}  // namespace skein
