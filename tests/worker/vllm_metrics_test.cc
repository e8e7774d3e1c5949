#include "worker/vllm_metrics.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/documented_metrics.h"
#include "tests/testing/fake_clock.h"
#include "worker/metrics.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

class VllmMetricsTest : public ::testing::Test {
 protected:
  VllmMetricsTest() {
    registry_.AddSource(std::make_shared<VllmMetrics>(
        registry_.registry(), VllmMetrics::Options{.page_tokens = 32, .clock = &clock_}));
    metrics_.state_slots.Set(8);
    metrics_.free_state_slots.Set(6);
  }

  MetricsRegistry registry_;
  WorkerMetrics metrics_{registry_, "m"};
  FakeClock clock_;
};

TEST_F(VllmMetricsTest, TheDocumentListsEachAndNoOther) {
  std::set<std::string> names;
  for (const auto& source : registry_.sources()) {
    for (const auto& family : source->Collect()) names.insert(family.name);
  }
  EXPECT_EQ(names, DocumentedMetrics("vllm:"));
}

TEST_F(VllmMetricsTest, CountersGaugesAndHistogramsHaveTheirOtherNames) {
  metrics_.running_sequences.Set(3);
  metrics_.generated_tokens.Increment(7);
  metrics_.first_token_seconds.Observe(0.2);
  const std::string text = registry_.Text();
  EXPECT_THAT(text, HasSubstr("vllm:num_requests_running{model_name=\"m\"} 3"));
  EXPECT_THAT(text, HasSubstr("vllm:generation_tokens_total{model_name=\"m\"} 7"));
  EXPECT_THAT(text, HasSubstr("vllm:time_to_first_token_seconds_count{model_name=\"m\"} 1"));
  EXPECT_THAT(text, HasSubstr("# TYPE vllm:time_to_first_token_seconds histogram"));
}

TEST_F(VllmMetricsTest, APureRwkvModelUsesItsSlots) {
  EXPECT_THAT(registry_.Text(), HasSubstr("vllm:kv_cache_usage_perc{model_name=\"m\"} 0.25"));
  EXPECT_THAT(registry_.Text(), HasSubstr("num_gpu_blocks=\"8\"} 1"));
}

TEST_F(VllmMetricsTest, AHybridUsesWhicheverIsScarcer) {
  metrics_.kv_pages.Set(100);
  metrics_.free_kv_pages.Set(10);
  EXPECT_THAT(registry_.Text(), HasSubstr("vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.9"));
  EXPECT_THAT(registry_.Text(), HasSubstr("block_size=\"32\",num_gpu_blocks=\"100\"} 1"));
  metrics_.free_kv_pages.Set(100);
  EXPECT_THAT(registry_.Text(), HasSubstr("vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.25"));
}

TEST_F(VllmMetricsTest, FinishedReasonsTellStopLengthAndAbort) {
  metrics_.finished_by_stop.Increment(2);
  metrics_.finished_by_length.Increment(3);
  metrics_.CountRequest(absl::OkStatus());
  metrics_.CountRequest(absl::CancelledError("gone"));
  const std::string text = registry_.Text();
  const std::string name = "vllm:request_success_total{model_name=\"m\",finished_reason=";
  EXPECT_THAT(text, HasSubstr(name + "\"stop\"} 2"));
  EXPECT_THAT(text, HasSubstr(name + "\"length\"} 3"));
  EXPECT_THAT(text, HasSubstr(name + "\"abort\"} 1"));
}

}  // namespace
}  // namespace skein
