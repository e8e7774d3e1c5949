// How evenly a skewed trace is spread, and how often a key meets the worker that has seen it.
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "gateway/routing/routing_table.h"
#include "tests/testing/fake_clock.h"

namespace skein {
namespace {

constexpr int kWorkers = 4;
constexpr uint32_t kSlots = 64;
constexpr int kKeys = 500;

struct Trace {
  double skew = 1.0;     // exponent of Zipf's law
  int streams = 160;     // always so many requests at once
  int requests = 20000;  // each takes 0.2 to 1.8 s
};

struct Figures {
  double busy_ratio = 0;     // max over mean of sequences in the course of time
  double request_ratio = 0;  // of requests taken
  double worst_excess = 0;   // most that a pick left above its worker's bound
  double affinity_hits = 0;  // requests that met the worker of their key's last one
};

// Workers in virtual time, which tell of their load 2 ms late, as over a network.
class Simulation {
 public:
  explicit Simulation(const Trace& trace) : trace_(trace) {
    RoutingTableOptions options;
    options.clock = &clock_;
    options.seed = 7;
    table_ = std::make_unique<RoutingTable>(options);
    for (int i = 0; i < kWorkers; ++i) {
      ids_.push_back(table_->Add(absl::StrCat("10.0.0.", i, ":50051")));
      v1::ListModelsResponse list;
      list.add_models()->set_name("m");
      list.mutable_models(0)->set_max_sequences(kSlots);
      table_->SetModels(ids_.back(), list);
      Report(i);
    }
    std::vector<double> weights;
    for (int key = 1; key <= kKeys; ++key) weights.push_back(std::pow(key, -trace.skew));
    zipf_ = std::discrete_distribution<int>(weights.begin(), weights.end());
  }

  Figures Run() {
    for (int i = 0; i < trace_.streams; ++i) Start();
    int started = trace_.streams;
    while (!running_.empty()) {
      const Running next = running_.top();
      running_.pop();
      // While it fills and drains the load is not the trace's.
      if (started < trace_.requests) Integrate(next.end);
      clock_.Advance(next.end - clock_.Now());
      const absl::Status ok;
      table_->End(next.call, &ok);
      --load_[static_cast<size_t>(next.worker)];
      Report(next.worker);
      if (started++ < trace_.requests) Start();
    }
    return Summarise();
  }

 private:
  struct Running {
    absl::Time end;
    uint64_t call = 0;
    int worker = 0;
    bool operator<(const Running& other) const { return end > other.end; }
  };

  void Report(int worker) {
    v1::WorkerLoad load;
    load.add_ready_models("m");
    load.set_running(static_cast<uint32_t>(load_[static_cast<size_t>(worker)]));
    table_->SetLoad(ids_[static_cast<size_t>(worker)], load);
  }

  void Start() {
    const int key = zipf_(random_);
    const absl::StatusOr<PickedWorker> picked =
        table_->Pick({.model = "m", .affinity_key = absl::StrCat("user-", key)});
    ASSERT_TRUE(picked.ok());
    const int worker = picked->address[7] - '0';
    const auto [last, first_time] = last_.emplace(key, worker);
    if (!first_time) {
      ++returns_;
      if (last->second == worker) ++hits_;
      last->second = worker;
    }
    ++taken_[static_cast<size_t>(worker)];
    int total = 1;
    for (const int load : load_) total += load;
    const int load = ++load_[static_cast<size_t>(worker)];
    worst_excess_ = std::max(worst_excess_, load - std::ceil(1.25 * total / kWorkers));
    const absl::Duration duration =
        absl::Seconds(std::uniform_real_distribution<double>(0.2, 1.8)(random_));
    running_.push({clock_.Now() + duration, picked->call, worker});
    Report(worker);
  }

  void Integrate(absl::Time until) {
    const double seconds = absl::ToDoubleSeconds(until - clock_.Now());
    for (size_t i = 0; i < kWorkers; ++i) busy_[i] += load_[i] * seconds;
  }

  template <typename Value>
  static double MaxOverMean(const std::vector<Value>& values) {
    double sum = 0, most = 0;
    for (const Value value : values) {
      sum += value;
      most = std::max<double>(most, value);
    }
    return most * static_cast<double>(values.size()) / sum;
  }

  Figures Summarise() const {
    return {.busy_ratio = MaxOverMean(busy_),
            .request_ratio = MaxOverMean(taken_),
            .worst_excess = worst_excess_,
            .affinity_hits = static_cast<double>(hits_) / returns_};
  }

  const Trace trace_;
  FakeClock clock_;
  std::unique_ptr<RoutingTable> table_;
  std::vector<uint64_t> ids_;
  std::mt19937_64 random_{42};
  std::discrete_distribution<int> zipf_;
  std::priority_queue<Running> running_;
  std::vector<int> load_ = std::vector<int>(kWorkers);
  std::vector<int> taken_ = std::vector<int>(kWorkers);
  std::vector<double> busy_ = std::vector<double>(kWorkers);
  std::map<int, int> last_;
  int returns_ = 0;
  int hits_ = 0;
  double worst_excess_ = 0;
};

TEST(RoutingBalanceTest, ASkewedTraceStaysWithinTheBoundAndMostKeysMeetTheirWorker) {
  struct Case {
    double skew;
    double least_hits;
  };
  for (const Case& c : {Case{0.0, 0.95}, Case{0.8, 0.9}, Case{1.0, 0.8}, Case{1.2, 0.55}}) {
    const Figures figures = Simulation({.skew = c.skew}).Run();
    std::printf(
        "zipf %.1f, 160 streams on 4 workers: load max/mean %.3f, requests max/mean %.3f, "
        "affinity hits %.1f%%\n",
        c.skew, figures.busy_ratio, figures.request_ratio, 100 * figures.affinity_hits);
    EXPECT_LE(figures.busy_ratio, 1.25);
    EXPECT_LE(figures.request_ratio, 1.25);
    EXPECT_LE(figures.worst_excess, 0);
    EXPECT_GE(figures.affinity_hits, c.least_hits);
  }
}

}  // namespace
}  // namespace skein
