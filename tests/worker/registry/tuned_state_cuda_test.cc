// Tuned states where a GPU computes.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "kernels/device/device.h"
#include "kernels/device/memory.h"
#include "tests/testing/golden.h"
#include "tests/worker/registry/state_layouts.h"
#include "worker/memory/state_pool.h"
#include "worker/registry/tuned_state.h"

namespace skein {
namespace {

class TunedStateCudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto device = CreateCudaDevice({});
    if (!device.ok()) {
      ASSERT_EQ(std::getenv("SKEIN_REQUIRE_GPU"), nullptr) << device.status();
      GTEST_SKIP() << device.status();
    }
    device_ = *std::move(device);
    const auto path = GoldenPath("adapters/state/x070_state.pth");
    ASSERT_TRUE(path.has_value());
    path_ = *path;
  }

  absl::StatusOr<TunedState> Load(const Stream& stream) const {
    return LoadTunedState(path_, TunedStateLayout::kAutomatic, TestDescription(shape_), layout_,
                          stream);
  }

  // Through a slot of a pool, as a sequence gets it.
  std::string InstalledBytes(const InitialState& state) const {
    const Stream stream = device_->stream();
    const auto bytes = static_cast<size_t>(layout_.bytes);
    auto pool = StatePool::Create(layout_.bytes, 1, stream);
    auto staging = CreateStaging(stream, bytes);
    EXPECT_TRUE(pool.ok() && staging.ok());
    const int32_t slot = *(*pool)->Allocate();
    (*pool)->Install(state, slot);
    const char* const record = static_cast<char*>((*pool)->base()) + slot * layout_.bytes;
    EXPECT_TRUE(Copy(stream, (*staging)->data(), record, bytes).ok());
    EXPECT_TRUE(Synchronize(stream).ok());
    return {static_cast<const char*>((*staging)->data()), bytes};
  }

  void ExpectAsOnTheCpu(const absl::StatusOr<TunedState>& state) const {
    const auto expected = Load(Stream());
    ASSERT_TRUE(expected.ok()) << expected.status();
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ(state->state->content_hash, expected->state->content_hash);
    const std::string found = InstalledBytes(*state->state);
    EXPECT_EQ(std::memcmp(found.data(), expected->state->record->data(), found.size()), 0);
  }

  const TestStateShape shape_ = {};
  const StateLayout layout_ = TestStateLayout(shape_);
  std::string path_;
  std::unique_ptr<Device> device_;
};

TEST_F(TunedStateCudaTest, HoldsWhatItHoldsOnTheCpu) { ExpectAsOnTheCpu(Load(device_->stream())); }

TEST_F(TunedStateCudaTest, IsLoadedByAnotherThreadWhileTheStreamRecordsAGraph) {
  const Stream stream = device_->stream();
  auto scratch = CreateArena(stream, 256);
  ASSERT_TRUE(scratch.ok()) << scratch.status();
  absl::StatusOr<TunedState> state = absl::UnknownError("never loaded");
  const auto graph = Capture(stream, [&] {
    std::thread loader([&] { state = Load(stream); });
    loader.join();
    return Zero(stream, (*scratch)->data(), 256);
  });
  ASSERT_TRUE(graph.ok()) << graph.status();
  ExpectAsOnTheCpu(state);
}

}  // namespace
}  // namespace skein
