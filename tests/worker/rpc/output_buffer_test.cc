#include "worker/rpc/output_buffer.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

v1::GenerateResponse Chunk(int choice, const std::string& text) {
  v1::GenerateResponse chunk;
  chunk.set_choice(choice);
  chunk.set_text(text);
  return chunk;
}

std::vector<v1::GenerateResponse> TakeAll(OutputBuffer& buffer) {
  std::vector<v1::GenerateResponse> all;
  while (!buffer.empty()) all.push_back(buffer.Take());
  return all;
}

TEST(OutputBufferTest, ChunksOfAChoiceJoinWhileTheyWait) {
  OutputBuffer buffer;
  v1::GenerateResponse first = Chunk(0, "He");
  first.add_tokens()->set_id(1);
  first.set_drawn(1);
  v1::GenerateResponse last = Chunk(0, "llo");
  last.add_tokens()->set_id(2);
  last.set_drawn(3);
  last.set_finish(v1::FINISH_REASON_STOP);
  last.set_matched_stop("\n");
  buffer.AddChunk(first);
  buffer.AddChunk(last);
  const std::vector<v1::GenerateResponse> all = TakeAll(buffer);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].text(), "Hello");
  EXPECT_EQ(all[0].drawn(), 4u);
  ASSERT_EQ(all[0].tokens_size(), 2);
  EXPECT_EQ(all[0].tokens(1).id(), 2u);
  EXPECT_EQ(all[0].finish(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(all[0].matched_stop(), "\n");
}

TEST(OutputBufferTest, WhatWasTakenDoesNotGrow) {
  OutputBuffer buffer;
  buffer.AddChunk(Chunk(0, "a"));
  EXPECT_EQ(buffer.Take().text(), "a");
  buffer.AddChunk(Chunk(0, "b"));
  EXPECT_EQ(buffer.Take().text(), "b");
}

TEST(OutputBufferTest, ChoicesStayApart) {
  OutputBuffer buffer;
  for (const char* text : {"a", "b", "c"}) {
    buffer.AddChunk(Chunk(0, text));
    buffer.AddChunk(Chunk(1, text));
  }
  const std::vector<v1::GenerateResponse> all = TakeAll(buffer);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].choice(), 0u);
  EXPECT_EQ(all[1].choice(), 1u);
  EXPECT_EQ(all[1].text(), "abc");
}

TEST(OutputBufferTest, StartedIsFirstAndUsageLast) {
  OutputBuffer buffer;
  v1::Started started;
  started.set_seed(7);
  v1::Usage usage;
  usage.set_completion_tokens(3);
  buffer.AddStarted(started, "echo ", 2);
  buffer.AddChunk(Chunk(0, "a"));
  buffer.AddChunk(Chunk(1, "b"));
  buffer.AddUsage(usage);
  const std::vector<v1::GenerateResponse> all = TakeAll(buffer);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].started().seed(), 7u);
  EXPECT_EQ(all[0].text(), "");
  EXPECT_EQ(all[1].text(), "echo a");
  EXPECT_EQ(all[2].text(), "echo b");
  EXPECT_EQ(all[3].usage().completion_tokens(), 3u);
}

TEST(OutputBufferTest, AFullMessageGrowsNoMore) {
  OutputBuffer buffer;
  const std::string text(1000, 'x');
  for (int i = 0; i < 200; ++i) buffer.AddChunk(Chunk(0, text));
  size_t total = 0;
  for (const v1::GenerateResponse& message : TakeAll(buffer)) {
    EXPECT_LT(message.ByteSizeLong(), OutputBuffer::kFullBytes + 2000);
    total += message.text().size();
  }
  EXPECT_EQ(total, 200'000u);
}

}  // namespace
}  // namespace skein
