// States and adapters loaded, replaced and removed under running streams. SKEIN_SOAK_CHANGES says
// how often, SKEIN_SOAK_STREAMS how many streams.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

#include "tests/worker/rpc/demo_worker.h"
#include "tests/worker/rpc/test_worker.h"

namespace skein {
namespace {

// What a leak of one state in four would exceed, and the caches of malloc and gRPC do not.
constexpr int64_t kAllowedGrowth = int64_t{24} << 20;
constexpr absl::Duration kBetweenChanges = absl::Milliseconds(30);

int FromEnvironment(const char* name, int fallback) {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : std::atoi(value);
}

int64_t ResidentBytes() {
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * getpagesize();
}

// What has gone wrong, each kind once. Thread-safe.
class Faults {
 public:
  void Add(const std::string& fault) {
    const std::lock_guard<std::mutex> lock(mu_);
    faults_.insert(fault);
  }
  std::set<std::string> all() {
    const std::lock_guard<std::mutex> lock(mu_);
    return faults_;
  }

 private:
  std::mutex mu_;
  std::set<std::string> faults_;  // guarded by mu_
};

class RegistrySoakTest : public ::testing::Test {
 protected:
  RegistrySoakTest() {
    request_ = DemoPrompts("pirate")[0].request;
    request_.mutable_stopping()->set_max_tokens(48);
    request_.mutable_stopping()->set_ignore_eos(true);
  }

  Collected Ask(const std::string& state) {
    v1::GenerateRequest request = request_;
    if (state == "words" || state == "tune" || state == "pair") {
      if (state == "pair") request.mutable_conditioning()->add_adapters()->set_name("words");
      request.mutable_conditioning()->add_adapters()->set_name(state == "pair" ? "tune" : state);
    } else if (!state.empty()) {
      request.mutable_conditioning()->set_entry(state);
    }
    return Collect(worker_.inference(), request);
  }
  absl::Status LoadAdapter(const std::string& name, const std::string& content) {
    return worker_.LoadAdapter(name, "adapters/" + content + ".safetensors").status();
  }
  absl::Status Load(const std::string& name, const std::string& content) {
    return worker_.LoadState(name, "states/" + content + ".safetensors").status();
  }

  // One request after the other until `stop`. "churn" and "tune" may be either content, or nothing;
  // "pair" is both "words" and "tune".
  void Stream(int index, const std::map<std::string, std::string>& texts,
              const std::atomic<bool>& stop, Faults& faults) {
    const std::string names[] = {"", "pirate", "churn", "blend", "words", "tune", "pair"};
    const auto fits = [&](const std::string& name, const std::string& text) {
      if (name == "churn") return text == texts.at("pirate") || text == texts.at("shout");
      if (name == "tune") return text == texts.at("words") || text == texts.at("json");
      if (name == "pair") return text == texts.at("pair words") || text == texts.at("pair json");
      return text == texts.at(name);
    };
    while (!stop) {
      const std::string& name = names[index % std::size(names)];
      const Collected got = Ask(name);
      const bool may_be_gone = name == "churn" || name == "tune" || name == "pair";
      if (may_be_gone && got.status.error_code() == grpc::StatusCode::NOT_FOUND) continue;
      if (!got.status.ok()) {
        faults.Add(name + ": " + got.status.error_message());
      } else if (!fits(name, got.Text())) {
        faults.Add(name + ": " + got.Text());
      }
      ++answered_;
    }
  }

  void Change(int i) {
    const absl::Status status =
        i % 3 == 2 ? worker_.Remove("churn") : Load("churn", i % 2 == 0 ? "pirate" : "shout");
    ASSERT_TRUE(status.ok()) << status;
    const absl::Status tuned =
        i % 3 == 2 ? worker_.Remove("tune") : LoadAdapter("tune", i % 2 == 0 ? "words" : "json");
    ASSERT_TRUE(tuned.ok()) << tuned;
    absl::SleepFor(kBetweenChanges);  // so that requests begin and end in between
  }

  DemoWorker worker_;
  v1::GenerateRequest request_;
  std::atomic<int> answered_{0};
};

TEST_F(RegistrySoakTest, NoRequestFailsNoTextIsWrongAndMemoryStaysFlat) {
  const int changes = FromEnvironment("SKEIN_SOAK_CHANGES", 100);
  std::map<std::string, std::string> texts;
  for (const std::string name : {"pirate", "shout"}) ASSERT_TRUE(Load(name, name).ok());
  v1::DefineMixtureRequest blend;
  blend.set_name("blend");
  for (const std::string name : {"pirate", "shout"}) {
    v1::StateWeight* part = blend.mutable_mix()->add_states();
    part->set_name(name);
    part->set_weight(1);
  }
  ASSERT_TRUE(worker_.DefineMixture(blend).ok());
  ASSERT_TRUE(LoadAdapter("words", "words").ok());
  for (const std::string name : {"words", "json"}) {
    ASSERT_TRUE(LoadAdapter("tune", name).ok());
    texts[name] = Ask("tune").Text();
    texts["pair " + name] = Ask("pair").Text();
  }
  ASSERT_TRUE(worker_.Remove("tune").ok());
  for (const std::string name : {"", "pirate", "shout", "blend"}) texts[name] = Ask(name).Text();
  ASSERT_NE(texts["words"], texts["json"]);
  ASSERT_NE(texts["pirate"], texts["shout"]);
  ASSERT_NE(texts["pirate"], texts[""]);

  std::atomic<bool> stop{false};
  Faults faults;
  const int num_streams = FromEnvironment("SKEIN_SOAK_STREAMS", 16);
  std::vector<std::thread> streams;
  streams.reserve(num_streams);
  for (int i = 0; i < num_streams; ++i) {
    streams.emplace_back([&, i] { Stream(i, texts, stop, faults); });
  }
  for (int i = 0; i < changes / 4 / 3 * 3; ++i) Change(i);  // ends with a removal
  const int64_t before = ResidentBytes();
  for (int i = 0; i < changes; ++i) Change(i);
  const int64_t growth = ResidentBytes() - before;
  stop = true;
  for (std::thread& stream : streams) stream.join();
  EXPECT_TRUE(faults.all().empty()) << ::testing::PrintToString(faults.all());
  EXPECT_LT(growth, kAllowedGrowth);
  EXPECT_GT(answered_, static_cast<int>(streams.size()));
  EXPECT_EQ(worker_.host().status().load.running, 0);
  RecordProperty("answered", answered_);
  std::printf("%d changes, %d answers, memory grew by %.1f MB\n", changes, answered_.load(),
              static_cast<double>(growth) / (1 << 20));
}

}  // namespace
}  // namespace skein
