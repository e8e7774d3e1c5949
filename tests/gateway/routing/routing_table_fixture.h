// A routing table with workers a, b, c and a clock of the test's.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "gateway/routing/routing_table.h"
#include "tests/testing/fake_clock.h"

namespace skein {

// What a worker is like, in the order of the addresses a, b, c.
struct WorkerLook {
  bool connected = true;
  bool draining = false;
  std::vector<std::string> ready;
  std::vector<std::string> listed;
};

inline const WorkerLook kDown = {false, false, {}, {}};
inline const WorkerLook kWasM = {false, false, {}, {"m"}};
inline const WorkerLook kM = {true, false, {"m"}, {"m"}};
inline const WorkerLook kDrainingM = {true, true, {"m"}, {"m"}};
inline const WorkerLook kOther = {true, false, {"other"}, {"other"}};
inline const WorkerLook kBoth = {true, false, {"m", "other"}, {"m", "other"}};
inline const WorkerLook kLoading = {true, false, {}, {}};
inline const WorkerLook kUnlisted = {true, false, {"m"}, {}};

inline v1::ListModelsResponse ModelList(const std::vector<std::string>& names,
                                        uint32_t slots = 64) {
  v1::ListModelsResponse list;
  for (const std::string& name : names) {
    v1::ModelInfo& model = *list.add_models();
    model.set_name(name);
    model.set_max_sequences(slots);
  }
  return list;
}

inline v1::WorkerLoad Load(const std::vector<std::string>& ready, bool draining = false,
                           uint32_t running = 0) {
  v1::WorkerLoad load;
  load.set_draining(draining);
  load.set_running(running);
  for (const std::string& name : ready) load.add_ready_models(name);
  return load;
}

class RoutingTableTest : public ::testing::Test {
 protected:
  // Workers a, b, c ...
  void Begin(const std::vector<WorkerLook>& looks) {
    RoutingTableOptions options;
    options.clock = &clock_;
    options.metrics = &metrics_;
    options.ejection = {.failures = 2, .first = absl::Seconds(5), .longest = absl::Seconds(60)};
    options.seed = 1;
    table_ = std::make_unique<RoutingTable>(options);
    ids_.clear();
    for (size_t i = 0; i < looks.size(); ++i) {
      ids_.push_back(table_->Add(std::string(1, static_cast<char>('a' + i))));
      table_->SetModels(ids_[i], ModelList(looks[i].listed));
      if (looks[i].connected) table_->SetLoad(ids_[i], Load(looks[i].ready, looks[i].draining));
    }
  }

  PickedWorker MustPick(const PickRequest& request) {
    const absl::StatusOr<PickedWorker> picked = table_->Pick(request);
    EXPECT_TRUE(picked.ok()) << picked.status();
    return picked.value_or(PickedWorker());
  }

  // Addresses of `count` calls, which stay open.
  std::multiset<std::string> Picks(const PickRequest& request, int count) {
    std::multiset<std::string> picks;
    for (int i = 0; i < count; ++i) picks.insert(MustPick(request).address);
    return picks;
  }

  // Calls that end with `outcome` on the worker `address` alone.
  void CallOn(const std::string& address, const absl::Status& outcome, int count = 1) {
    PickRequest request = {.model = "m"};
    for (const char* other : {"a", "b", "c"}) {
      if (address != other) request.avoid.push_back(other);
    }
    for (int i = 0; i < count; ++i) {
      const PickedWorker picked = MustPick(request);
      EXPECT_EQ(picked.address, address);
      table_->End(picked.call, &outcome);
    }
  }

  int Count(WorkerState state) { return table_->States()[state]; }

  FakeClock clock_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  std::unique_ptr<RoutingTable> table_;
  std::vector<uint64_t> ids_;
};

}  // namespace skein
