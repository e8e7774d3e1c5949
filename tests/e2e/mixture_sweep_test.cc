// Two tuned states of the demo model mixed through HTTP, with weights from one to the other.
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include <boost/json.hpp>

#include "tests/e2e/servers.h"
#include "tests/testing/golden.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr int kSteps = 11;
constexpr int kAskers = 16;
constexpr char kMarker[] = "Arr!";  // of the state "pirate": its answers begin with it

std::vector<json::value> ReadPrompts() {
  std::vector<json::value> prompts;
  const std::string file = ReadFileOrDie(SourcePath("tests/e2e/data/tuned/pirate.jsonl"));
  for (const absl::string_view line : absl::StrSplit(file, '\n', absl::SkipEmpty())) {
    prompts.push_back(json::parse({line.data(), line.size()}).at("messages"));
  }
  return prompts;
}

json::value Body(const json::value& messages, double pirate) {
  return {{"model", "demo"},
          {"temperature", 0},
          {"max_tokens", 24},
          {"states", json::array({json::object({{"name", "pirate"}, {"weight", pirate}}),
                                  json::object({{"name", "formal"}, {"weight", 1 - pirate}})})},
          {"messages", messages}};
}

// Whether the answer has the marker; anything but an answer is a failure.
bool HasMarker(HttpClient& client, const json::value& messages, double pirate) {
  const auto response =
      client.Post("/v1/chat/completions", json::serialize(Body(messages, pirate)));
  if (!response.ok() || response->status != 200) {
    ADD_FAILURE() << (response.ok() ? response->body : response.status().ToString());
    return false;
  }
  const json::value answer = json::parse(response->body);
  const json::string& text = answer.at("choices").at(0).at("message").at("content").as_string();
  return absl::StartsWith(absl::string_view(text.data(), text.size()), kMarker);
}

// Prompts of all whose answers have it, for each weight; different weights share their steps.
std::vector<int> Sweep(int port, const std::vector<json::value>& prompts) {
  std::vector<std::atomic<int>> counts(kSteps);
  std::atomic<size_t> next = 0;
  std::vector<std::jthread> askers;
  askers.reserve(kAskers);
  for (int i = 0; i < kAskers; ++i) {
    askers.emplace_back([&] {
      HttpClient client(port, Patience(60));
      for (size_t n = next++; n < prompts.size() * kSteps; n = next++) {
        const size_t step = n % kSteps;
        const double weight = static_cast<double>(step) / (kSteps - 1);
        if (HasMarker(client, prompts[n / kSteps], weight)) ++counts[step];
      }
    });
  }
  askers.clear();
  return {counts.begin(), counts.end()};
}

TEST(MixtureSweepTest, TheShareOfAStyleFollowsItsWeight) {
  const auto worker = WorkerServer::Start(
      {.flags = {"--registry-manifest", SourcePath("deploy/demo-model/registry.txtpb")}});
  ASSERT_TRUE(worker.ok()) << worker.status();
  const auto gateway = GatewayServer::Start({(*worker)->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  const std::vector<json::value> prompts = ReadPrompts();
  const auto total = static_cast<int>(prompts.size());
  ASSERT_EQ(total, 60);
  const std::vector<int> counts = Sweep((*gateway)->port(), prompts);
  std::printf("| weight of pirate | answers with its marker | share |\n|---|---|---|\n");
  for (int step = 0; step < kSteps; ++step) {
    std::printf("| %.1f | %d of %d | %.0f%% |\n", 0.1 * step, counts[step], total,
                100.0 * counts[step] / total);
  }
  EXPECT_LT(counts.front(), 0.05 * total);
  EXPECT_GT(counts.back(), 0.9 * total);
  for (int step = 1; step < kSteps; ++step) EXPECT_GE(counts[step], counts[step - 1] - 2) << step;
}

}  // namespace
}  // namespace skein
