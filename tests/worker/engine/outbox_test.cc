#include "worker/engine/outbox.h"

#include <memory>

#include "gtest/gtest.h"

#include "tests/testing/collecting_sink.h"

namespace skein {
namespace {

OutputChunk Chunk(const char* text) {
  OutputChunk chunk;
  chunk.drawn = 1;
  chunk.text = text;
  return chunk;
}

StartInfo Info(uint64_t seed) {
  StartInfo info;
  info.seed = seed;
  return info;
}

TEST(OutboxTest, NothingIsToldBeforeDeliverAndEverythingInOrderThen) {
  const auto first = std::make_shared<CollectingSink>();
  const auto second = std::make_shared<CollectingSink>();
  Outbox outbox;
  outbox.Start(first, Info(7));
  outbox.Write(first, Chunk("a"));
  outbox.Start(second, Info(8));
  outbox.Write(second, Chunk("x"));
  OutputChunk last = Chunk("b");
  last.finish = FinishReason::kLength;
  outbox.Write(first, last);
  RequestUsage usage;
  usage.completion_tokens = 2;
  outbox.End(first, absl::OkStatus(), usage);
  EXPECT_FALSE(first->start().has_value());
  EXPECT_FALSE(second->start().has_value());

  EXPECT_EQ(outbox.Deliver(), 1);
  EXPECT_EQ(first->misuse(), "");
  EXPECT_EQ(first->choice(0).text, "ab");
  EXPECT_TRUE(first->status().ok());
  EXPECT_EQ(first->usage().completion_tokens, 2);
  EXPECT_EQ(second->choice(0).text, "x");
  EXPECT_FALSE(second->status().ok());

  EXPECT_EQ(outbox.Deliver(), 0);
  EXPECT_EQ(second->choice(0).text, "x");
  EXPECT_EQ(second->misuse(), "");
}

}  // namespace
}  // namespace skein
