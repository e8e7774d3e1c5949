// Server-sent events: order, framing, keep-alive comments, clients that leave or do not read.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
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

using Responder = std::shared_ptr<HttpResponder>;

bool WaitUntil(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) absl::SleepFor(absl::Milliseconds(5));
  return condition();
}

// The data of all events up to the end of the stream, with blanks between them.
std::string ReadEvents(HttpClient& client) {
  std::string all;
  while (true) {
    const auto event = client.NextEvent();
    if (!event.ok()) return absl::StrCat(all, event.status().ToString());
    if (!event->has_value()) return all;
    if (!(*event)->data.empty()) absl::StrAppend(&all, (*event)->data, " ");
  }
}

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

TEST(EventStreamTest, ASlowReaderHoldsTheWriterBack) {
  constexpr size_t kEventBytes = 10000;
  constexpr int kEvents = 3000;
  std::atomic<int> written{0};
  std::atomic<int> waits{0};
  std::shared_ptr<SseWriter> events;
  std::function<void()> write = [&] {
    while (written < kEvents) {
      events->Event(std::string(kEventBytes, 'x'));
      ++written;
      if (events->AwaitRoom([&] { write(); })) {
        ++waits;
        return;
      }
    }
    events->Close();
  };
  TestServer server([&](const HttpRequest&, Responder out) {
    events = out->StartEvents();
    write();
  });
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  ASSERT_TRUE(WaitUntil([&] { return waits > 0; }));
  int before = -1;
  while (before != written) {
    before = written;
    absl::SleepFor(absl::Milliseconds(100));
  }
  // 64 KiB in the server, as many on their way in the system, and what the client's buffer takes.
  EXPECT_LT(before * kEventBytes, size_t{1} << 20);
  int received = 0;
  while (true) {
    const auto event = client.NextEvent();
    ASSERT_TRUE(event.ok()) << event.status();
    if (!event->has_value()) break;
    received += (*event)->data.size() == kEventBytes ? 1 : 0;
  }
  EXPECT_EQ(received, kEvents);
  EXPECT_GT(waits, 10);
}

TEST(EventStreamTest, AClientThatDoesNotReadIsDisconnected) {
  HttpServerOptions options;
  options.write_timeout = absl::Milliseconds(200);
  std::atomic<bool> left{false};
  std::vector<std::thread> threads;
  TestServer server(
      [&](const HttpRequest&, Responder out) {
        out->OnDisconnect([&] { left = true; });
        threads.emplace_back([&left, events = out->StartEvents()] {
          const std::string large(100000, 'x');
          for (int i = 0; i < 5000 && !left; ++i) {
            events->Event(large);
            absl::SleepFor(absl::Microseconds(200));
          }
          events->Close();
        });
      },
      options);
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  EXPECT_TRUE(WaitUntil([&] { return left.load(); }));
  for (std::thread& thread : threads) thread.join();
}

TEST(EventStreamTest, AStreamThatIsDroppedIsCutAndNotEnded) {
  TestServer server([](const HttpRequest&, Responder out) { out->StartEvents()->Event("some"); });
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  EXPECT_EQ(client.NextEvent().value()->data, "some");
  EXPECT_TRUE(absl::IsDataLoss(client.NextEvent().status()));
}

TEST(EventStreamTest, InHttp10TheStreamEndsWithTheConnection) {
  TestServer server([](const HttpRequest&, Responder out) {
    const auto events = out->StartEvents();
    events->Event("a");
    events->Event("b");
    events->Close();
  });
  HttpClient client(server.port());
  ASSERT_TRUE(client.SendRaw("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").ok());
  const auto head = client.ReadHead();
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->Header("transfer-encoding"), "");
  EXPECT_EQ(ReadEvents(client), "a b ");
}

TEST(EventStreamTest, ARequestBehindAStreamWaitsForItsEnd) {
  std::shared_ptr<SseWriter> events;
  TestServer server([&](const HttpRequest& request, Responder out) {
    if (request.path != "/stream") return Echo(request, out);
    events = out->StartEvents();
  });
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/stream").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  ASSERT_TRUE(client.Send("GET", "/next").ok());
  absl::SleepFor(absl::Milliseconds(50));
  events->Event("x");
  events->Close();
  EXPECT_EQ(ReadEvents(client), "x ");
  EXPECT_EQ(client.ReadResponse()->body, "GET /next  ");
}

TEST(EventStreamTest, StopLetsAStreamEndAndCutsWhatStays) {
  for (const bool ends : {true, false}) {
    SCOPED_TRACE(ends ? "ends" : "stays");
    std::atomic<bool> left{false};
    std::shared_ptr<SseWriter> events;
    TestServer server([&](const HttpRequest&, Responder out) {
      out->OnDisconnect([&] { left = true; });
      events = out->StartEvents();
    });
    HttpClient client(server.port());
    ASSERT_TRUE(client.Send("GET", "/").ok());
    ASSERT_TRUE(client.ReadHead().ok());
    std::thread ending([&] {
      absl::SleepFor(absl::Milliseconds(100));
      events->Event("last");
      if (ends) events->Close();
    });
    EXPECT_EQ(server.server->Stop(absl::Milliseconds(ends ? 5000 : 300)), ends);
    ending.join();
    EXPECT_EQ(left, !ends);
    EXPECT_EQ(client.NextEvent().value()->data, "last");
    EXPECT_EQ(client.NextEvent().ok(), ends);
  }
}

TEST(EventStreamTest, AStreamThatIsToldOfTheEndHasTheLastWord) {
  std::shared_ptr<SseWriter> events;
  TestServer server([&](const HttpRequest&, Responder out) {
    events = out->StartEvents();
    out->OnShutdown([&] {
      events->Event("the end");
      events->Close();
    });
  });
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  EXPECT_FALSE(server.server->Stop(absl::Milliseconds(100)));
  EXPECT_EQ(ReadEvents(client), "the end ");
}

TEST(EventStreamTest, ManyStreamsAtOnceWithClientsThatLeave) {
  HttpServerOptions options;
  options.threads = 2;
  std::atomic<int> left{0};
  std::mutex mu;
  std::vector<std::shared_ptr<SseWriter>> writers;
  std::atomic<bool> stop{false};
  std::thread producer([&] {
    while (!stop) {
      {
        const std::lock_guard<std::mutex> lock(mu);
        for (const auto& writer : writers) writer->Event("tick");
      }
      absl::SleepFor(absl::Milliseconds(2));
    }
  });
  {
    TestServer server(
        [&](const HttpRequest&, Responder out) {
          out->OnDisconnect([&] { ++left; });
          auto events = out->StartEvents();
          const std::lock_guard<std::mutex> lock(mu);
          writers.push_back(std::move(events));
        },
        options);
    std::vector<std::unique_ptr<HttpClient>> clients;
    for (int i = 0; i < 100; ++i) {
      clients.push_back(std::make_unique<HttpClient>(server.port()));
      ASSERT_TRUE(clients.back()->Send("GET", "/").ok());
    }
    for (auto& client : clients) {
      ASSERT_TRUE(client->ReadHead().ok());
      EXPECT_EQ(client->NextEvent().value()->data, "tick");
    }
    for (size_t i = 0; i < clients.size(); i += 2) {
      i % 4 == 0 ? clients[i]->Abort() : clients[i]->Close();
    }
    EXPECT_TRUE(WaitUntil([&] { return left == 50; }));
    for (size_t i = 1; i < clients.size(); i += 2) {
      EXPECT_EQ(clients[i]->NextEvent().value()->data, "tick");
    }
  }
  EXPECT_EQ(left, 100) << "the server's end disconnects the rest";
  stop = true;
  producer.join();
}

}  // namespace
}  // namespace skein
