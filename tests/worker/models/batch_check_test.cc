#include "worker/models/batch_check.h"

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "worker/adapters/bound_adapter.h"

namespace skein {
namespace {

BoundAdapter WithPlaces(size_t places) {
  BoundAdapter adapter;
  adapter.modules.resize(places);
  return adapter;
}
const BoundAdapter kAdapter = WithPlaces(3), kOtherAdapter = WithPlaces(4);

// Two sequences: rows 0 to 2 at positions 15 to 17, row 3 at position 0.
struct Batch {
  std::vector<int32_t> tokens = {1, 2, 3, 4}, positions = {15, 16, 17, 0}, row_begin = {0, 3, 4};
  std::vector<int32_t> slots = {2, 1}, pages = {5, 0, 3, -1}, logit_rows = {2, 3};
  std::vector<float> logits = std::vector<float>(20);
  float pool = 0;
  int page_tokens = 16;
  std::vector<AdapterRows> adapters;

  ModelBatch View() {
    const auto size = [](const auto& x) { return static_cast<int64_t>(x.size()); };
    ModelBatch batch;
    batch.tokens = {tokens.data(), {size(tokens)}};
    batch.positions = {positions.data(), {size(positions)}};
    batch.row_begin = {row_begin.data(), {size(row_begin)}};
    batch.slots = {slots.data(), {size(slots)}};
    batch.pages = {pages.data(), {2, size(pages) / 2}};
    batch.logit_rows = {logit_rows.data(), {size(logit_rows)}};
    batch.logits = {logits.data(), {size(logit_rows), 10}};
    batch.state.base = &pool;
    batch.kv = {&pool, 6, page_tokens};
    batch.adapters = adapters;
    return batch;
  }
};

TEST(BatchCheckTest, BatchesThatBreakTheRulesAreRefusedByName) {
  ParallelFor threads(1);
  const BatchLimits limits = {4, 10, true, 3};
  Batch good;
  good.adapters = {{&kAdapter, 0, 1}, {&kAdapter, 0, 1}, {&kAdapter, 1, 1}};
  EXPECT_TRUE(CheckBatch(good.View(), limits, Stream(threads)).ok())
      << CheckBatch(good.View(), limits, Stream(threads));

  struct Case {
    const char* message;
    std::function<void(Batch&)> change;
  };
  for (const Case& c : {
           Case{"batch: tokens[1] is 10, the vocabulary has 10",
                [](Batch& b) { b.tokens[1] = 10; }},
           Case{"batch: tokens[0] is -1, the vocabulary has 10",
                [](Batch& b) { b.tokens[0] = -1; }},
           Case{"batch: positions[3] is -1, below 0", [](Batch& b) { b.positions[3] = -1; }},
           Case{"batch: positions[2] is 18, must follow the row before",
                [](Batch& b) { b.positions[2] = 18; }},
           Case{"batch: logit_rows[1] is 4, must ascend within the rows",
                [](Batch& b) { b.logit_rows[1] = 4; }},
           Case{"batch: logit_rows[1] is 2, must ascend within the rows",
                [](Batch& b) { b.logit_rows[1] = 2; }},
           Case{"batch: row_begin[1] is 0, must ascend within the rows",
                [](Batch& b) { b.row_begin[1] = 0; }},
           Case{"batch: row_begin[1] is 1000000, must ascend within the rows",
                [](Batch& b) { b.row_begin[1] = 1000000; }},
           Case{"batch: row_begin must go from 0 to the number of rows",
                [](Batch& b) { b.row_begin[2] = 3; }},
           Case{"batch: slots[1] is -1, below 0", [](Batch& b) { b.slots[1] = -1; }},
           Case{"batch: slots[1] is 2, which an earlier sequence has",
                [](Batch& b) { b.slots[1] = 2; }},
           Case{"batch: pages[0] is 6, the pool has 6", [](Batch& b) { b.pages[1] = 6; }},
           Case{"batch: pages[0] is -1, the pool has 6", [](Batch& b) { b.pages[0] = -1; }},
           Case{"batch: positions[2] is 17, beyond the 2 pages of its sequence",
                [](Batch& b) { b.page_tokens = 8; }},
           Case{"batch: positions: shape [3], expected [4]",
                [](Batch& b) { b.positions.pop_back(); }},
           Case{"batch: adapters[1] is 0, must ascend within the sequences",
                [](Batch& b) {
                  b.adapters = {{&kAdapter, 0, 1}, {&kAdapter, 0, 2}};
                }},
           Case{"batch: adapters[0] is 1, must ascend within the sequences",
                [](Batch& b) {
                  b.adapters = {{&kAdapter, 1, 2}};
                }},
           Case{"batch: an adapter of another model",
                [](Batch& b) {
                  b.adapters = {{&kOtherAdapter, 0, 1}};
                }},
           Case{"batch: 5 rows, at most 4", [](Batch& b) { b.tokens.push_back(1); }},
       }) {
    SCOPED_TRACE(c.message);
    Batch bad;
    c.change(bad);
    const absl::Status status = CheckBatch(bad.View(), limits, Stream(threads));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(status.message()), c.message);
  }
}

TEST(BatchCheckTest, PagesDoNotMatterToModelsWithoutAttention) {
  ParallelFor threads(1);
  Batch batch;
  batch.pages.clear();
  EXPECT_TRUE(CheckBatch(batch.View(), {4, 10, false}, Stream(threads)).ok());
  EXPECT_FALSE(CheckBatch(batch.View(), {4, 10, true}, Stream(threads)).ok());
}

}  // namespace
}  // namespace skein
