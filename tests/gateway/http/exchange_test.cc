#include "gateway/http/exchange.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace skein {
namespace {

HttpResponse WithStatus(int status) {
  HttpResponse response;
  response.status = status;
  return response;
}

TEST(ExchangeTest, WakesOncePerTake) {
  int wakes = 0;
  const auto exchange = std::make_shared<Exchange>([&] { ++wakes; });
  const auto events = exchange->NewResponder()->StartEvents();
  events->Event("a");
  events->Event("b");
  EXPECT_EQ(wakes, 1);
  const Exchange::Output output = exchange->Take();
  EXPECT_TRUE(output.stream);
  EXPECT_EQ(output.events, "data: a\n\ndata: b\n\n");
  EXPECT_FALSE(output.closed);
  events->Close();
  EXPECT_EQ(wakes, 2);
  EXPECT_TRUE(exchange->Take().closed);
  EXPECT_FALSE(exchange->Take().broken);
}

TEST(ExchangeTest, TheFirstAnswerCounts) {
  const auto exchange = std::make_shared<Exchange>([] {});
  const auto out = exchange->NewResponder();
  out->Send(WithStatus(201));
  out->Send(WithStatus(202));
  out->StartEvents()->Event("third");
  const Exchange::Output output = exchange->Take();
  ASSERT_TRUE(output.response.has_value());
  EXPECT_EQ(output.response->status, 201);
  EXPECT_FALSE(output.stream);
  EXPECT_EQ(output.events, "");
  EXPECT_FALSE(exchange->Take().response.has_value());
}

TEST(ExchangeTest, SilenceIsToldOnceAndOnlyBeforeAnAnswer) {
  int told = 0;
  const auto exchange = std::make_shared<Exchange>([] {});
  const auto out = exchange->NewResponder();
  exchange->Silence();
  out->OnSilence([&] { ++told; });
  EXPECT_EQ(told, 0);
  exchange->Silence();
  exchange->Silence();
  EXPECT_EQ(told, 1);
  out->OnSilence([&] { ++told; });
  out->Send(WithStatus(200));
  exchange->Silence();
  EXPECT_EQ(told, 1);
}

TEST(ExchangeTest, AStreamHasRoomUntilTooMuchIsUnsent) {
  int told = 0;
  const auto on_room = [&] { ++told; };
  const auto exchange = std::make_shared<Exchange>([] {}, /*max_unsent_bytes=*/25);
  const auto events = exchange->NewResponder()->StartEvents();
  EXPECT_FALSE(events->AwaitRoom(on_room));
  events->Event("12345");  // 13 bytes
  EXPECT_FALSE(events->AwaitRoom(on_room));
  events->Event("12345");
  EXPECT_TRUE(events->AwaitRoom(on_room));
  exchange->Take();  // begins to send 26 bytes
  EXPECT_TRUE(events->AwaitRoom(on_room));
  EXPECT_EQ(told, 0);
  events->Event("12345");
  exchange->Take();  // has sent them, and begins with 13
  EXPECT_EQ(told, 2);
  EXPECT_FALSE(events->AwaitRoom(on_room));
  events->Event("12345");
  EXPECT_TRUE(events->AwaitRoom(on_room));
  exchange->Take();
  EXPECT_EQ(told, 3);
}

TEST(ExchangeTest, WhoAwaitsRoomHearsOfTheEnd) {
  for (const bool client_leaves : {true, false}) {
    SCOPED_TRACE(client_leaves);
    int told = 0;
    const auto exchange = std::make_shared<Exchange>([] {}, /*max_unsent_bytes=*/0);
    const auto events = exchange->NewResponder()->StartEvents();
    events->Event("x");
    ASSERT_TRUE(events->AwaitRoom([&] { ++told; }));
    client_leaves ? exchange->Disconnect() : exchange->Detach();
    EXPECT_EQ(told, 1);
    EXPECT_FALSE(events->AwaitRoom([&] { ++told; }));
    exchange->Detach();
    EXPECT_EQ(told, 1);
  }
}

TEST(ExchangeTest, NothingWakesAfterDetach) {
  int wakes = 0;
  const auto exchange = std::make_shared<Exchange>([&] { ++wakes; });
  auto out = exchange->NewResponder();
  exchange->Detach();
  out->Send({});
  out.reset();
  EXPECT_EQ(wakes, 0);
}

TEST(ExchangeTest, LaterDisconnectCallbacksReplaceEarlierOnes) {
  const auto exchange = std::make_shared<Exchange>([] {});
  const auto out = exchange->NewResponder();
  int first = 0;
  int second = 0;
  out->OnDisconnect([&] { ++first; });
  out->OnDisconnect([&] { ++second; });
  exchange->Disconnect();
  exchange->Disconnect();
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
}

// The connection takes while handlers on other threads write, leave, ask for disconnects and drop
// what they hold.
TEST(ExchangeTest, IsThreadSafe) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<bool> woken{false};
    std::atomic<int> disconnects{0};
    const auto exchange = std::make_shared<Exchange>([&] { woken = true; });
    std::thread handler([&, out = exchange->NewResponder()]() mutable {
      out->OnDisconnect([&] { ++disconnects; });
      auto events = out->StartEvents();
      std::thread second([events] {
        for (int i = 0; i < 20; ++i) events->Event("x");
      });
      for (int i = 0; i < 20; ++i) events->Event("y");
      out.reset();
      second.join();
      if (round % 2 == 0) events->Close();
    });
    size_t bytes = 0;
    bool closed = false;
    while (!closed && !(round % 5 == 0 && bytes > 100)) {
      woken = false;
      const Exchange::Output output = exchange->Take();
      bytes += output.events.size();
      closed = output.closed;
      std::this_thread::yield();
    }
    if (!closed) exchange->Disconnect();
    exchange->Detach();
    handler.join();
    if (closed) {
      EXPECT_EQ(bytes, 40 * std::string("data: x\n\n").size());
    }
    EXPECT_LE(disconnects, 1);
  }
}

}  // namespace
}  // namespace skein
