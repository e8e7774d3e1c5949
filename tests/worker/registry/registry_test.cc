#include "worker/registry/registry.h"

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/worker/registry/test_states.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void AddState(EntryMap& entries, const std::string& name, SamplingDefaults defaults = {}) {
  RegistryEntry entry;
  entry.name = name;
  entry.state = MakeState("hash of " + name);
  entry.defaults = defaults;
  entries[name] = std::make_shared<const RegistryEntry>(std::move(entry));
}

void AddMixture(EntryMap& entries, const std::string& name, StateMix mix) {
  RegistryEntry entry;
  entry.kind = EntryKind::kMixture;
  entry.name = name;
  entry.mix = std::move(mix);
  entries[name] = std::make_shared<const RegistryEntry>(std::move(entry));
}

void AddAdapter(EntryMap& entries, const std::string& name) {
  RegistryEntry entry;
  entry.kind = EntryKind::kAdapter;
  entry.name = name;
  entry.adapter = MakeBoundAdapter("hash of " + name);
  entries[name] = std::make_shared<const RegistryEntry>(std::move(entry));
}

TEST(RegistryTest, AdaptersAreFoundByTheirOwnNamesAlone) {
  Registry registry;
  EXPECT_EQ(registry.ResolveAdapter("l").status().message(),
            "adapter \"l\": not registered, no adapter is registered");
  EntryMap entries;
  AddState(entries, "a");
  AddAdapter(entries, "l");
  ASSERT_TRUE(registry.Publish(entries).ok());
  const auto adapter = registry.ResolveAdapter("l");
  ASSERT_TRUE(adapter.ok()) << adapter.status();
  EXPECT_EQ((*adapter)->adapter, entries["l"]->adapter);
  EXPECT_EQ(registry.ResolveAdapter("x").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(registry.ResolveAdapter("x").status().message(),
            "adapter \"x\": not registered, expected one of l");
  EXPECT_EQ(registry.ResolveAdapter("a").status().message(),
            "conditioning.adapters: \"a\" is a state, expected an adapter");
  EXPECT_EQ(registry.Resolve("l").status().message(),
            "conditioning.entry: \"l\" is an adapter, expected a state or a mixture");
  EXPECT_EQ(registry.Resolve("x").status().message(),
            "state \"x\": not registered, expected one of a");
  EXPECT_FALSE(registry.Resolve(StateMix{{{"l", 1}}, false}).ok());
}

TEST(RegistryTest, WhoResolvedAnAdapterKeepsIt) {
  Registry registry;
  EntryMap entries;
  AddAdapter(entries, "l");
  ASSERT_TRUE(registry.Publish(std::move(entries)).ok());
  entries.clear();
  EXPECT_EQ(registry.NumAdaptersInUse(), 0);
  std::shared_ptr<const BoundAdapter> held = (*registry.ResolveAdapter("l"))->adapter;
  EXPECT_EQ(registry.NumAdaptersInUse(), 1);
  ASSERT_TRUE(registry.Publish({}).ok());
  EXPECT_EQ(registry.NumAdaptersInUse(), 1);
  EXPECT_EQ(held->adapter->content_hash, "hash of l");
  held.reset();
  EXPECT_EQ(registry.NumAdaptersInUse(), 0);
}

TEST(RegistryTest, ANameStandsForItsStateOrMixture) {
  Registry registry;
  EntryMap entries;
  AddState(entries, "a", {.temperature = 0.5f, .top_p = {}});
  AddState(entries, "b");
  AddMixture(entries, "m", {{{"b", 1}, {"a", 0}, {"", 3}}, false});
  ASSERT_TRUE(registry.Publish(entries).ok());
  const auto state = registry.Resolve("a");
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_EQ(state->states.size(), 1u);
  EXPECT_EQ(state->states[0].state, entries["a"]->state);
  EXPECT_EQ(state->states[0].weight, 1);
  EXPECT_EQ(state->defaults.temperature, 0.5f);
  const auto mixture = registry.Resolve("m");
  ASSERT_TRUE(mixture.ok()) << mixture.status();
  ASSERT_EQ(mixture->states.size(), 2u);
  EXPECT_EQ(mixture->states[0].state, entries["b"]->state);
  EXPECT_EQ(mixture->states[0].weight, 0.25f);
  EXPECT_EQ(mixture->states[1].state, nullptr);
  EXPECT_EQ(mixture->states[1].weight, 0.75f);
}

TEST(RegistryTest, WhatIsNotThereIsNamedAndWhatIsThereToo) {
  Registry registry;
  EXPECT_THAT(std::string(registry.Resolve("x").status().message()),
              HasSubstr("\"x\": not registered, nothing is registered"));
  EntryMap entries;
  AddState(entries, "a");
  AddMixture(entries, "m", {{{"a", 1}}, false});
  ASSERT_TRUE(registry.Publish(entries).ok());
  const absl::Status unknown = registry.Resolve("x").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(unknown.message(), "state \"x\": not registered, expected one of a, m");
  EXPECT_EQ(registry.Resolve(StateMix{{{"a", 1}, {"x", 0}}, false}).status().code(),
            absl::StatusCode::kNotFound);
  const absl::Status nested = registry.Resolve(StateMix{{{"m", 1}}, false}).status();
  EXPECT_EQ(nested.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(nested.message()), HasSubstr("\"m\" is a mixture"));
  for (int i = 0; i < 30; ++i) AddState(entries, "s" + std::to_string(i));
  ASSERT_TRUE(registry.Publish(entries).ok());
  EXPECT_THAT(std::string(registry.Resolve("x").status().message()), HasSubstr("and 12 more"));
}

TEST(RegistryTest, AMixtureWithoutItsStateIsNeverPublished) {
  std::vector<uint64_t> revisions;
  Registry registry({.max_mix_states = 8, .first_revision = 5, .on_change = [&](const auto& now) {
                       revisions.push_back(now->revision);
                     }});
  EntryMap entries;
  AddMixture(entries, "m", {{{"a", 1}}, false});
  EXPECT_EQ(registry.Publish(entries).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(registry.snapshot()->entries.empty());
  AddState(entries, "a");
  ASSERT_TRUE(registry.Publish(entries).ok());
  ASSERT_TRUE(registry.Publish({}).ok());
  EXPECT_THAT(revisions, ElementsAre(6, 7));
}

TEST(RegistryTest, WhoResolvedANameKeepsItsState) {
  Registry registry;
  EntryMap entries;
  AddState(entries, "a");
  AddState(entries, "b");
  ASSERT_TRUE(registry.Publish(std::move(entries)).ok());
  entries.clear();
  EXPECT_EQ(registry.NumStatesInUse(), 0);
  auto held = registry.Resolve("a");
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(registry.NumStatesInUse(), 1);
  ASSERT_TRUE(registry.Publish({}).ok());
  EXPECT_EQ(registry.Resolve("a").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(held->states[0].state->content_hash, "hash of a");
  EXPECT_EQ(registry.NumStatesInUse(), 1);
  held->states.clear();
  EXPECT_EQ(registry.NumStatesInUse(), 0);
}

TEST(RegistryTest, ReadersSeeAWholeRegistryWhileItChanges) {
  Registry registry;
  EntryMap full;
  AddState(full, "a");
  AddMixture(full, "m", {{{"a", 1}, {"", 1}}, false});
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  readers.reserve(3);
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const auto resolved = registry.Resolve("m");
        if (resolved.ok() ? resolved->states.size() != 2
                          : resolved.status().message() !=
                                "state \"m\": not registered, nothing is registered") {
          ++wrong;
        }
        (void)registry.NumStatesInUse();
      }
    });
  }
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(registry.Publish(i % 2 == 0 ? full : EntryMap()).ok());
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(registry.snapshot()->revision, 2000u);
}

}  // namespace
}  // namespace skein
