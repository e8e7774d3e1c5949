#include "gateway/routing/worker_discovery.h"

#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using Addresses = std::set<std::string>;

// What a discovery has told.
class Told {
 public:
  WorkerDiscovery::Listener Listener() {
    return [this](const Addresses& addresses) {
      const std::lock_guard<std::mutex> lock(mu_);
      last_ = addresses;
      ++times_;
      changed_.notify_all();
    };
  }
  // Waits until `expected` was told last.
  bool Is(const Addresses& expected) {
    std::unique_lock<std::mutex> lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return last_ == expected; });
  }
  int times() {
    const std::lock_guard<std::mutex> lock(mu_);
    return times_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  Addresses last_;
  int times_ = 0;
};

// Names with scripted addresses.
class Names {
 public:
  Resolver AsResolver() {
    return [this](const std::string& name, uint16_t port) -> absl::StatusOr<Addresses> {
      const std::lock_guard<std::mutex> lock(mu_);
      ++asked_;
      if (names_.count(name) == 0) return absl::UnavailableError("no such name");
      Addresses addresses;
      for (const std::string& host : names_[name]) {
        addresses.insert(host + ":" + std::to_string(port));
      }
      return addresses;
    };
  }
  void Set(const std::string& name, const Addresses& hosts) {
    const std::lock_guard<std::mutex> lock(mu_);
    names_[name] = hosts;
  }
  void Forget(const std::string& name) {
    const std::lock_guard<std::mutex> lock(mu_);
    names_.erase(name);
  }
  // Waits until the names were asked for twice more: what they are now is known.
  void WaitAsked() {
    const int before = Asked();
    while (Asked() < before + 2) absl::SleepFor(absl::Milliseconds(1));
  }

 private:
  int Asked() {
    const std::lock_guard<std::mutex> lock(mu_);
    return asked_;
  }

  std::mutex mu_;
  std::map<std::string, Addresses> names_;
  int asked_ = 0;
};

std::vector<WorkerSource> Sources(const std::vector<std::string>& texts) {
  std::vector<WorkerSource> sources;
  for (const std::string& text : texts) sources.push_back(ParseWorkerSource(text).value());
  return sources;
}

WorkerDiscoveryOptions Quick(Resolver resolver = ResolveBySystem) {
  return {.resolve_every = absl::Milliseconds(5),
          .read_every = absl::Milliseconds(5),
          .resolver = std::move(resolver)};
}

// As a writer does that knows its trade.
void Replace(const std::string& path, const std::string& text) {
  std::ofstream(path + ".new") << text;
  ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
}

TEST(WorkerDiscoveryTest, TellsStaticAddressesAtOnce) {
  Told told;
  const WorkerDiscovery discovery(Sources({"a:1", "b:2"}), Quick(), told.Listener());
  EXPECT_EQ(told.times(), 1);
  EXPECT_TRUE(told.Is({"a:1", "b:2"}));
}

TEST(WorkerDiscoveryTest, FollowsANameAndKeepsWhatItKnowsWhenThatFails) {
  Names names;
  Told told;
  names.Set("workers", {"10.0.0.1"});
  const WorkerDiscovery discovery(Sources({"dns:workers:50051", "a:1"}), Quick(names.AsResolver()),
                                  told.Listener());
  EXPECT_TRUE(told.Is({"10.0.0.1:50051", "a:1"}));
  names.Set("workers", {"10.0.0.1", "10.0.0.2"});
  EXPECT_TRUE(told.Is({"10.0.0.1:50051", "10.0.0.2:50051", "a:1"}));
  const int before = told.times();
  names.Forget("workers");
  names.WaitAsked();
  EXPECT_EQ(told.times(), before);
  names.Set("workers", {"10.0.0.2"});
  EXPECT_TRUE(told.Is({"10.0.0.2:50051", "a:1"}));
}

TEST(WorkerDiscoveryTest, AnAddressOfTwoSourcesIsOneWorker) {
  Names names;
  Told told;
  names.Set("one", {"10.0.0.1"});
  names.Set("two", {"10.0.0.1", "10.0.0.2"});
  const WorkerDiscovery discovery(Sources({"dns:one:1", "dns:two:1"}), Quick(names.AsResolver()),
                                  told.Listener());
  EXPECT_TRUE(told.Is({"10.0.0.1:1", "10.0.0.2:1"}));
  names.Set("two", {"10.0.0.2"});
  names.WaitAsked();
  EXPECT_TRUE(told.Is({"10.0.0.1:1", "10.0.0.2:1"}));
}

TEST(WorkerDiscoveryTest, FollowsAFileAndKeepsItsLastGoodList) {
  const std::string path = testing::TempDir() + "worker_discovery_test";
  std::remove(path.c_str());
  Told told;
  {
    const WorkerDiscovery discovery(Sources({"file:" + path}), Quick(), told.Listener());
    EXPECT_TRUE(told.Is({}));  // it need not be there yet
    Replace(path, "a:1\nb:2\n");
    EXPECT_TRUE(told.Is({"a:1", "b:2"}));
    const int before = told.times();
    for (const char* bad : {"a:1\nb", "", "what is this\n"}) {
      std::ofstream(path) << bad;  // in place
      absl::SleepFor(absl::Milliseconds(50));
    }
    std::remove(path.c_str());
    absl::SleepFor(absl::Milliseconds(50));
    EXPECT_EQ(told.times(), before);
    Replace(path, "c:3\n");
    EXPECT_TRUE(told.Is({"c:3"}));
  }
  std::remove(path.c_str());
}

TEST(WorkerDiscoveryTest, DoesNotWaitForAStuckResolver) {
  struct Gate {
    std::mutex mu;
    std::condition_variable changed;
    bool open = false;
    int left = 0;
  };
  const auto gate = std::make_shared<Gate>();
  Told told;
  const absl::Time begin = absl::Now();
  {
    const WorkerDiscovery discovery(
        Sources({"dns:stuck:1", "a:1"}),
        Quick([gate](const std::string&, uint16_t) -> absl::StatusOr<Addresses> {
          std::unique_lock<std::mutex> lock(gate->mu);
          gate->changed.wait(lock, [&] { return gate->open; });
          ++gate->left;
          gate->changed.notify_all();
          return Addresses{"late:1"};
        }),
        told.Listener());
    EXPECT_TRUE(told.Is({"a:1"}));
  }
  EXPECT_LT(absl::Now() - begin, absl::Seconds(8));
  std::unique_lock<std::mutex> lock(gate->mu);
  gate->open = true;
  gate->changed.notify_all();
  gate->changed.wait(lock, [&] { return gate->left == 1; });
  EXPECT_TRUE(told.Is({"a:1"}));  // nobody listens any more
}

TEST(ResolveBySystemTest, KnowsThisMachineAndSaysWhatItDoesNotKnow) {
  const auto addresses = ResolveBySystem("localhost", 80);
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  EXPECT_EQ(addresses->count("127.0.0.1:80") + addresses->count("[::1]:80"), 1u);
  EXPECT_EQ(ResolveBySystem("127.0.0.2", 7).value(), Addresses{"127.0.0.2:7"});
  EXPECT_TRUE(absl::IsUnavailable(ResolveBySystem("no.such.name.invalid", 80).status()));
}

}  // namespace
}  // namespace skein
