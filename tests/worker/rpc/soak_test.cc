// Many streams at once, some cancelled, some out of time, for a while. SKEIN_SOAK_SECONDS says how
// long.
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include <unistd.h>

#include "gtest/gtest.h"

#include "tests/worker/rpc/test_worker.h"

namespace skein {
namespace {

constexpr int kStreams = 200;
constexpr int kSequences = 64;

enum class Fate { kFinish, kCancel, kDeadline };

// What all streams have done together. Thread-safe.
struct Tally {
  std::atomic<int64_t> finished{0};
  std::atomic<int64_t> cancelled{0};
  std::atomic<int64_t> timed_out{0};
  std::mutex mu;
  std::vector<std::string> errors;  // guarded by mu: what nobody asked for

  void AddError(const std::string& error) {
    const std::lock_guard<std::mutex> lock(mu);
    if (errors.size() < 20) errors.push_back(error);
  }
};

// One call after another until `stop` is set; deletes nothing, signals when idle.
class Caller {
 public:
  Caller(v1::InferenceService::Stub& stub, uint32_t seed, Tally& tally,
         const std::atomic<bool>& stop)
      : stub_(stub), random_(seed), tally_(tally), stop_(stop) {}

  void Run() {
    while (!stop_) {
      Call();
    }
  }

 private:
  void Call() {
    const int tokens = std::uniform_int_distribution<int>(1, 80)(random_);
    const Fate fate = static_cast<Fate>(std::discrete_distribution<int>({2, 1, 1})(random_));
    const std::string prompt(std::uniform_int_distribution<int>(1, 60)(random_), 'x');
    v1::GenerateRequest request = GreedyRequest(prompt, tokens);
    request.set_n(std::discrete_distribution<int>({0, 8, 1, 1})(random_));
    grpc::ClientContext context;
    if (fate == Fate::kDeadline) {
      const int ms = std::uniform_int_distribution<int>(1, 60)(random_);
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(ms));
    }
    int reads_left =
        fate == Fate::kCancel ? std::uniform_int_distribution<int>(0, 20)(random_) : -1;
    Collected got;
    const auto reader = stub_.Generate(&context, request);
    if (reads_left == 0) context.TryCancel();
    v1::GenerateResponse message;
    while (reader->Read(&message)) {
      got.messages.push_back(message);
      if (--reads_left == 0) context.TryCancel();
    }
    got.status = reader->Finish();
    Judge(fate, request, prompt, tokens, got);
  }

  void Judge(Fate fate, const v1::GenerateRequest& request, const std::string& prompt, int tokens,
             const Collected& got) {
    if (got.status.ok()) {
      ++tally_.finished;
      for (uint32_t choice = 0; choice < request.n(); ++choice) {
        if (got.Text(choice) != Alphabet(prompt, tokens)) tally_.AddError("wrong text");
      }
      if (!got.messages.back().has_usage()) tally_.AddError("no usage");
    } else if (fate == Fate::kCancel && got.status.error_code() == grpc::StatusCode::CANCELLED) {
      ++tally_.cancelled;
    } else if (fate == Fate::kDeadline &&
               got.status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      ++tally_.timed_out;
    } else {
      tally_.AddError(std::to_string(got.status.error_code()) + " " + got.status.error_message());
    }
  }

  v1::InferenceService::Stub& stub_;
  std::mt19937 random_;
  Tally& tally_;
  const std::atomic<bool>& stop_;
};

double ResidentMegabytes() {
  int64_t total = 0;
  int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / 1e6;
}

absl::Duration SoakTime() {
  const char* seconds = std::getenv("SKEIN_SOAK_SECONDS");
  return absl::Seconds(seconds == nullptr ? 5 : std::atoi(seconds));
}

TEST(SoakTest, NothingGoesWrongThatWasNotAskedForAndNothingIsLeftBehind) {
  TestWorker worker({.max_sequences = kSequences, .max_queue = 1024});
  worker.pace().SetStepTime(absl::Microseconds(500));
  Tally tally;
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Caller>> callers;
  std::vector<std::thread> threads;
  for (int i = 0; i < kStreams; ++i) {
    callers.push_back(std::make_unique<Caller>(worker.inference(), i, tally, stop));
    threads.emplace_back([caller = callers.back().get()] { caller->Run(); });
  }
  absl::SleepFor(SoakTime() / 3);
  const double early_mb = ResidentMegabytes();
  absl::SleepFor(SoakTime() * 2 / 3);
  const double late_mb = ResidentMegabytes();
  stop = true;
  for (std::thread& thread : threads) thread.join();

  for (const std::string& error : tally.errors) ADD_FAILURE() << error;
  EXPECT_GT(tally.finished, 100);
  EXPECT_GT(tally.cancelled, 20);
  EXPECT_GT(tally.timed_out, 20);
  EXPECT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) {
    return load.running == 0 && load.waiting == 0 && load.free_state_slots == kSequences;
  }));
  std::printf("finished %ld, cancelled %ld, out of time %ld; %.1f MB, later %.1f MB\n",
              static_cast<long>(tally.finished), static_cast<long>(tally.cancelled),
              static_cast<long>(tally.timed_out), early_mb, late_mb);
#ifndef __SANITIZE_ADDRESS__  // whose quarantine keeps what was freed
  // 30 MB: arenas of 200 client threads, which malloc fills one after another.
  EXPECT_LT(late_mb, early_mb + 30);
#endif
}

}  // namespace
}  // namespace skein
