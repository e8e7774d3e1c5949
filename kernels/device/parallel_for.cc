#include "kernels/device/parallel_for.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sched.h>

#include "common/base/check.h"

namespace skein {
namespace {

// Ops of a decode step follow each other within microseconds: workers look for the next one for
// about 100 us before they sleep.
constexpr int kSpinsBeforeSleep = 2000;
constexpr int kSpinsBeforeYield = 500;
constexpr int kChunksPerThread =
    4;  // more than one, so that a thread that was interrupted holds nobody up

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int CoresOfProcess() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

// A job is open from the moment it is published until its caller has run out of ranges. Workers
// join an open job by counting themselves in; the caller waits only for those that did, so a worker
// that is not scheduled costs nothing.
struct ParallelFor::Team {
  // `gate` packs what must change together: generation << 32 | open << 31 | joined workers.
  static constexpr uint64_t kOpen = uint64_t{1} << 31;
  static constexpr uint64_t kJoinedMask = kOpen - 1;
  static uint64_t Generation(uint64_t gate) { return gate >> 32; }

  explicit Team(int num_threads) : num_threads(num_threads) {
    for (int i = 1; i < num_threads; ++i) workers.emplace_back([this, i] { Work(i); });
  }

  ~Team() {
    {
      const std::lock_guard<std::mutex> lock(mu);
      stop.store(true);
    }
    wake.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  void Run(int64_t count_in, int64_t chunk_in, absl::FunctionRef<void(int64_t, int64_t)> task_in) {
    task = &task_in;
    count = count_in;
    chunk = chunk_in;
    next.store(0, std::memory_order_relaxed);
    left.store(0, std::memory_order_relaxed);
    const uint64_t generation = Generation(gate.load(std::memory_order_relaxed)) + 1;
    gate.store(generation << 32 | kOpen);
    if (sleepers.load() > 0) {
      { const std::lock_guard<std::mutex> lock(mu); }
      wake.notify_all();
    }
    TakeRanges();
    const uint64_t closed = gate.fetch_and(~kOpen);
    const int joined = static_cast<int>(closed & kJoinedMask);
    for (int spins = 0; left.load(std::memory_order_acquire) != joined; ++spins) {
      spins < kSpinsBeforeYield ? Pause() : static_cast<void>(sched_yield());
    }
  }

  void TakeRanges() {
    while (true) {
      const int64_t begin = next.fetch_add(chunk, std::memory_order_relaxed);
      if (begin >= count) return;
      (*task)(begin, std::min(begin + chunk, count));
    }
  }

  void Work(int index) {
    char name[16];
    std::snprintf(name, sizeof(name), "skein-cpu-%d", index);
    pthread_setname_np(pthread_self(), name);
    uint64_t seen = 0;
    while (WaitForJob(seen)) {
      uint64_t now = gate.load();
      while ((now & kOpen) != 0 && !gate.compare_exchange_weak(now, now + 1)) {
      }
      seen = Generation(now);
      if ((now & kOpen) == 0) continue;  // too late for this one
      TakeRanges();
      left.fetch_add(1, std::memory_order_release);
    }
  }

  bool HasJob(uint64_t seen) const {
    const uint64_t now = gate.load();
    return (now & kOpen) != 0 && Generation(now) != seen;
  }

  // False when the team ends.
  bool WaitForJob(uint64_t seen) {
    for (int spins = 0; spins < kSpinsBeforeSleep; ++spins) {
      if (HasJob(seen)) return true;
      Pause();
    }
    std::unique_lock<std::mutex> lock(mu);
    sleepers.fetch_add(1);
    wake.wait(lock, [&] { return stop.load() || HasJob(seen); });
    sleepers.fetch_sub(1);
    return !stop.load();
  }

  const int num_threads;

  // The job: written by the caller before it opens the gate, read by those that joined.
  absl::FunctionRef<void(int64_t, int64_t)>* task = nullptr;
  int64_t count = 0;
  int64_t chunk = 1;
  alignas(64) std::atomic<int64_t> next{0};  // first index that nobody has taken
  alignas(64) std::atomic<int> left{0};      // workers that joined and have finished
  alignas(64) std::atomic<uint64_t> gate{0};

  std::mutex mu;  // orders going to sleep with waking up
  std::condition_variable wake;
  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;
};

ParallelFor::ParallelFor(int num_threads)
    : team_(new Team(num_threads == 0 ? CoresOfProcess() : num_threads)) {
  SKEIN_CHECK(num_threads >= 0);
}

ParallelFor::~ParallelFor() = default;

int ParallelFor::num_threads() const { return team_->num_threads; }

void ParallelFor::Run(int64_t count, int64_t grain,
                      absl::FunctionRef<void(int64_t begin, int64_t end)> task) {
  if (count <= 0) return;
  const int64_t pieces = int64_t{team_->num_threads} * kChunksPerThread;
  const int64_t chunk = CeilDiv(CeilDiv(count, pieces), grain) * grain;
  if (team_->num_threads == 1 || count <= chunk) {
    task(0, count);
    return;
  }
  team_->Run(count, chunk, task);
}

}  // namespace skein
