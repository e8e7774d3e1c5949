// Server-sent events to clients that read slowly or not at all, and how streams end.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "tests/gateway/http/event_streams.h"
#include "tests/gateway/http/test_server.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

using Responder = std::shared_ptr<HttpResponder>;

TEST(EventStreamEndTest, ASlowReaderHoldsTheWriterBack) {
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

TEST(EventStreamEndTest, AClientThatDoesNotReadIsDisconnected) {
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

TEST(EventStreamEndTest, AStreamThatIsDroppedIsCutAndNotEnded) {
  TestServer server([](const HttpRequest&, Responder out) { out->StartEvents()->Event("some"); });
  HttpClient client(server.port());
  ASSERT_TRUE(client.Send("GET", "/").ok());
  ASSERT_TRUE(client.ReadHead().ok());
  EXPECT_EQ(client.NextEvent().value()->data, "some");
  EXPECT_TRUE(absl::IsDataLoss(client.NextEvent().status()));
}

TEST(EventStreamEndTest, InHttp10TheStreamEndsWithTheConnection) {
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

TEST(EventStreamEndTest, ARequestBehindAStreamWaitsForItsEnd) {
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

TEST(EventStreamEndTest, StopLetsAStreamEndAndCutsWhatStays) {
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

TEST(EventStreamEndTest, AStreamThatIsToldOfTheEndHasTheLastWord) {
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

TEST(EventStreamEndTest, ManyStreamsAtOnceWithClientsThatLeave) {
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
