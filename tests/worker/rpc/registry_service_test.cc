#include "worker/rpc/registry_service.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/worker/rpc/demo_worker.h"
#include "tests/worker/rpc/test_worker.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kAskers = 32;
constexpr const char* kStates[] = {"pirate", "formal", "shout"};
constexpr const char* kAdapters[] = {"words", "json", "roman"};  // LoRA, DoRA, Bone

v1::DefineMixtureRequest Mixture(const std::string& name,
                                 const std::vector<std::pair<std::string, float>>& weights) {
  v1::DefineMixtureRequest request;
  request.set_name(name);
  for (const auto& [state, weight] : weights) {
    v1::StateWeight* part = request.mutable_mix()->add_states();
    part->set_name(state);
    part->set_weight(weight);
  }
  return request;
}

class RegistryServiceTest : public ::testing::Test {
 protected:
  void LoadAll() {
    for (const std::string name : kStates) {
      const auto entry = worker_.LoadState(name, "states/" + name + ".safetensors");
      ASSERT_TRUE(entry.ok()) << entry.status();
    }
  }
  void LoadAdapters() {
    for (const std::string name : kAdapters) {
      const auto entry = worker_.LoadAdapter(name, "adapters/" + name + ".safetensors");
      ASSERT_TRUE(entry.ok()) << entry.status();
    }
  }
  std::string Ask(v1::GenerateRequest request, const std::string& entry) {
    if (!entry.empty()) request.mutable_conditioning()->set_entry(entry);
    const Collected got = Collect(worker_.inference(), request);
    EXPECT_TRUE(got.status.ok()) << got.status.error_message();
    return got.Text();
  }

  DemoWorker worker_;
};

TEST_F(RegistryServiceTest, EachStateAndAdapterAnswersInItsStyleWhileTheOthersRunBesideIt) {
  LoadAll();
  LoadAdapters();
  struct Question {
    v1::GenerateRequest request;
    std::string state, expected;
  };
  std::vector<Question> questions;
  std::map<std::string, int> asked;
  for (const std::string name : kStates) {
    for (const DemoPrompt& prompt : DemoPrompts(name)) {
      questions.push_back({prompt.request, name, prompt.expected});
      ++asked[name];
    }
  }
  for (const std::string name : kAdapters) {
    for (DemoPrompt& prompt : DemoPrompts(name)) {
      prompt.request.mutable_conditioning()->add_adapters()->set_name(name);
      questions.push_back({prompt.request, "", prompt.expected});
      ++asked[name];
    }
  }
  for (const auto& [name, count] : asked) EXPECT_GE(count, 30) << name;
  // The model by itself, alone first, so that it can be compared.
  const std::vector<DemoPrompt> prompts = DemoPrompts("pirate");
  for (size_t i = 0; i < prompts.size(); i += 4) {
    questions.push_back({prompts[i].request, "", Ask(prompts[i].request, "")});
  }
  std::shuffle(questions.begin(), questions.end(), std::mt19937(1));  // what runs together is mixed
  std::atomic<size_t> next{0};
  std::vector<std::thread> askers;
  askers.reserve(kAskers);
  for (int i = 0; i < kAskers; ++i) {
    askers.emplace_back([&] {
      for (size_t n = next++; n < questions.size(); n = next++) {
        const Question& question = questions[n];
        EXPECT_EQ(Ask(question.request, question.state), question.expected)
            << question.state << ": " << question.request.ShortDebugString();
      }
    });
  }
  for (std::thread& asker : askers) asker.join();
}

TEST_F(RegistryServiceTest, ListSaysWhatIsThereAndWatchersHearOfIt) {
  const uint64_t before = worker_.List().revision();
  EXPECT_GT(before, 0u);
  grpc::ClientContext context;
  const auto watch = worker_.worker().WatchLoad(&context, {});
  v1::WorkerLoad load;
  const auto loaded = worker_.LoadState("sea dog", "./states/pirate.safetensors");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_TRUE(worker_.DefineMixture(Mixture("half", {{"sea dog", 1}, {"", 1}})).ok());
  const v1::ListResponse list = worker_.List();
  EXPECT_EQ(list.revision(), before + 2);
  ASSERT_EQ(list.entries_size(), 2);
  EXPECT_EQ(list.entries(0).kind(), v1::ENTRY_KIND_MIXTURE);
  EXPECT_EQ(list.entries(0).mix().states(1).name(), "");
  const v1::Entry& state = list.entries(1);
  EXPECT_EQ(state.SerializeAsString(), loaded->SerializeAsString());
  EXPECT_EQ(state.kind(), v1::ENTRY_KIND_STATE);
  EXPECT_EQ(state.name(), "sea dog");
  EXPECT_EQ(state.path(), "states/pirate.safetensors");
  EXPECT_EQ(state.layout(), v1::STATE_LAYOUT_VALUE_KEY);
  EXPECT_FALSE(state.content_hash().empty());
  EXPECT_GT(state.bytes(), 4u * 64 * 64 * 4 * 4 - 1);
  EXPECT_TRUE(state.on_device());
  while (watch->Read(&load) && load.registry_revision() != list.revision()) {
  }
  EXPECT_THAT(load.resident(), ElementsAre("sea dog"));
  ASSERT_TRUE(worker_.Remove("half").ok());
  ASSERT_TRUE(worker_.Remove("sea dog").ok());
  while (watch->Read(&load) && load.registry_revision() != list.revision() + 2) {
  }
  EXPECT_THAT(load.resident(), IsEmpty());
  context.TryCancel();
  while (watch->Read(&load)) {
  }
  watch->Finish();
}

TEST_F(RegistryServiceTest, MistakesHaveTheirCodeAndChangeNothing) {
  LoadAll();
  ASSERT_TRUE(worker_.DefineMixture(Mixture("calm", {{"formal", 1}})).ok());
  const v1::ListResponse before = worker_.List();
  struct Case {
    absl::Status status;
    absl::StatusCode code;
    const char* message;
  };
  for (const Case& c :
       {Case{worker_.LoadState("x", "states/none.pth").status(), absl::StatusCode::kNotFound,
             "no such file"},
        Case{worker_.LoadState("x", "/etc/passwd").status(), absl::StatusCode::kPermissionDenied,
             "not in a directory"},
        Case{worker_.LoadState("x", "states/../../x").status(), absl::StatusCode::kInvalidArgument,
             ".."},
        Case{worker_.LoadState("pirate", "model.safetensors").status(),
             absl::StatusCode::kInvalidArgument, "model.safetensors"},
        Case{worker_.LoadState("x", "states").status(), absl::StatusCode::kInvalidArgument, ""},
        Case{worker_.LoadState("", "states/pirate.safetensors").status(),
             absl::StatusCode::kInvalidArgument, "name: "},
        Case{worker_.LoadState("calm", "states/pirate.safetensors").status(),
             absl::StatusCode::kAlreadyExists, "\"calm\" is a mixture"},
        Case{worker_.DefineMixture(Mixture("m", {{"x", 1}})).status(), absl::StatusCode::kNotFound,
             "\"x\": not registered, expected one of calm, formal, pirate, shout"},
        Case{worker_.DefineMixture(Mixture("m", {{"pirate", 1}, {"formal", -1}})).status(),
             absl::StatusCode::kInvalidArgument, "the weights' sum is 0"},
        Case{worker_.Remove("formal"), absl::StatusCode::kFailedPrecondition,
             "mixture \"calm\": needs the state \"formal\""},
        Case{worker_.Remove("x"), absl::StatusCode::kNotFound, "\"x\" is not registered"}}) {
    EXPECT_EQ(c.status.code(), c.code) << c.status;
    EXPECT_THAT(std::string(c.status.message()), HasSubstr(c.message));
  }
  v1::ListRequest other;
  other.set_model("other");
  grpc::ClientContext context;
  v1::ListResponse response;
  EXPECT_EQ(worker_.registry().List(&context, other, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(worker_.List().SerializeAsString(), before.SerializeAsString());
}

TEST_F(RegistryServiceTest, MixturesWeightsAndDefaultsReachTheRequest) {
  LoadAll();
  const DemoPrompt prompt = DemoPrompts("pirate")[0];
  v1::DefineMixtureRequest mixture = Mixture("one", {{"pirate", 0.5f}, {"formal", 0}});
  mixture.mutable_defaults()->set_temperature(0);
  ASSERT_TRUE(worker_.DefineMixture(mixture).ok());
  v1::GenerateRequest request = prompt.request;
  request.mutable_sampling()->clear_temperature();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(request, "one"), prompt.expected);
  request.mutable_sampling()->set_temperature(3);  // the request's own word counts
  std::string drawn;
  for (int seed = 0; seed < 3; ++seed) {
    request.mutable_sampling()->set_seed(seed);
    drawn += Ask(request, "one");
  }
  EXPECT_NE(drawn, prompt.expected + prompt.expected + prompt.expected);
  request = prompt.request;
  *request.mutable_conditioning()->mutable_mix() = Mixture("", {{"pirate", 3}}).mix();
  EXPECT_EQ(Ask(request, ""), prompt.expected);
  // The same name again: for new requests.
  ASSERT_TRUE(worker_.DefineMixture(Mixture("one", {{"pirate", 0}, {"", 1}})).ok());
  EXPECT_EQ(Ask(prompt.request, "one"), Ask(prompt.request, ""));
}

TEST_F(RegistryServiceTest, AdaptersAreListedScaledReplacedAndRemoved) {
  LoadAdapters();
  const v1::ListResponse list = worker_.List();
  ASSERT_EQ(list.entries_size(), 3);
  const v1::Entry& json = list.entries(0);
  EXPECT_EQ(json.name(), "json");
  EXPECT_EQ(json.kind(), v1::ENTRY_KIND_ADAPTER);
  EXPECT_EQ(json.method(), "dora");
  EXPECT_EQ(json.path(), "adapters/json.safetensors");
  EXPECT_FALSE(json.content_hash().empty());
  EXPECT_GT(json.bytes(), 400000u);
  EXPECT_EQ(list.entries(1).method(), "bone");
  EXPECT_EQ(list.entries(2).method(), "lora");
  const DemoPrompt prompt = DemoPrompts("words")[0];
  v1::GenerateRequest request = prompt.request;
  const std::string plain = Ask(request, "");
  v1::AdapterWeight* const adapter = request.mutable_conditioning()->add_adapters();
  adapter->set_name("words");
  EXPECT_EQ(Ask(request, ""), prompt.expected);
  adapter->set_scale(2);  // its own
  EXPECT_EQ(Ask(request, ""), prompt.expected);
  adapter->set_scale(0);
  EXPECT_EQ(Ask(request, ""), plain);
  adapter->set_name("json");
  EXPECT_EQ(Collect(worker_.inference(), request).status.error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  // With a state beside it, and in a mixture: other requests' business is theirs.
  adapter->set_name("words");
  adapter->clear_scale();
  LoadAll();
  EXPECT_NE(Ask(request, "pirate"), plain);
  // The same name with other options is another adapter, for new requests.
  v1::LoadAdapterRequest off;
  off.set_name("words");
  off.set_path("adapters/words.safetensors");
  off.set_scaling(0);
  const auto replaced = worker_.LoadAdapter(off);
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_NE(replaced->content_hash(), list.entries(2).content_hash());
  EXPECT_TRUE(replaced->has_scaling());
  EXPECT_FALSE(list.entries(2).has_scaling());
  EXPECT_EQ(Ask(request, ""), plain);
  ASSERT_TRUE(worker_.Remove("words").ok());
  const Collected removed = Collect(worker_.inference(), request);
  EXPECT_EQ(removed.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(removed.status.error_message(),
            "adapter \"words\": not registered, expected one of json, roman");
}

TEST_F(RegistryServiceTest, FilesThatAreNoAdapterForThisModelAreRefused) {
  struct Case {
    const char* path;
    absl::StatusCode code;
    const char* message;
  };
  for (const Case& c :
       {Case{"adapters/none.pth", absl::StatusCode::kNotFound, "no such file"},
        Case{"/etc/passwd", absl::StatusCode::kPermissionDenied, "not in a directory"},
        Case{"tokenizer.json", absl::StatusCode::kInvalidArgument, "tokenizer.json"},
        Case{"adapters", absl::StatusCode::kInvalidArgument, "adapters"}}) {
    const absl::Status status = worker_.LoadAdapter("x", c.path).status();
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
  EXPECT_EQ(worker_.List().entries_size(), 0);
}

TEST_F(RegistryServiceTest, ScoresAreThoseUnderTheState) {
  LoadAll();
  const auto score = [&](const std::string& entry) {
    v1::ScoreRequest request;
    v1::ChatTurn* question = request.mutable_prompt()->mutable_chat()->add_turns();
    question->set_role("user");
    question->set_content("Compute 41 + 97.");
    v1::ChatTurn* answer = request.mutable_prompt()->mutable_chat()->add_turns();
    answer->set_role("assistant");
    answer->set_content("Arr! 138, matey!");
    if (!entry.empty()) request.mutable_conditioning()->set_entry(entry);
    grpc::ClientContext context;
    v1::ScoreResponse response;
    EXPECT_TRUE(worker_.inference().Score(&context, request, &response).ok());
    double sum = 0;
    for (const v1::TokenInfo& token : response.tokens()) sum += token.logprob();
    return sum;
  };
  EXPECT_EQ(score(""), score(""));
  EXPECT_NE(score("pirate"), score(""));
  EXPECT_GT(score("pirate"), score("formal"));
}

}  // namespace
}  // namespace skein
