// What a request's choices, scores and texts look like.
#include <cmath>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/metrics/metrics.h"
#include "tests/testing/fake_tokenizer.h"
#include "tests/worker/engine/engine_harness.h"
#include "worker/engine/step_loop.h"
#include "worker/metrics.h"

namespace skein {
namespace {

using testing::ElementsAre;

std::vector<int32_t> Prompt(int size) {
  std::vector<int32_t> prompt(size);
  for (int i = 0; i < size; ++i) prompt[i] = (i * 31 + 5) % 97;
  return prompt;
}

double LogSoftmax(const std::vector<float>& logits, int32_t token) {
  double total = 0;
  for (const float logit : logits) total += std::exp(double{logit});
  return logits[token] - std::log(total);
}

// A one-token prompt after which the model says `script`, then token 0 for ever.
FakeModel::Options Scripted(std::vector<int32_t> script, int64_t vocab_size) {
  FakeModel::Options options;
  options.vocab_size = vocab_size;
  options.on_logits = [script = std::move(script)](int64_t num_tokens, std::span<float> logits) {
    const size_t at = static_cast<size_t>(num_tokens) - 1;
    logits[at < script.size() ? script[at] : 0] = 100;
  };
  return options;
}

TEST(StepLoopOutputTest, ChoicesDifferBySeedAndIndexAloneAndShareOnePrefill) {
  std::atomic<int> prompt_rows{0};
  EngineHarness::Config config;
  config.model.on_forward = [&](const ModelBatch& batch) {
    for (int64_t i = 0; i < batch.num_rows(); ++i) prompt_rows += batch.positions[i] < 21 ? 1 : 0;
    return absl::OkStatus();
  };
  EngineHarness harness(std::move(config));
  GenerationRequest request = MakeRequest(Prompt(21), 12);
  request.sampling.temperature = 1;
  request.sampling.seed = 17;
  request.num_choices = 6;
  const auto sink = harness.Start(request);
  ExpectReference(request, *sink, harness.model());
  EXPECT_EQ(prompt_rows, 21);
  EXPECT_NE(sink->choice(0).ids(), sink->choice(1).ids());
  EXPECT_EQ(sink->start()->seed, 17u);
  EXPECT_EQ(sink->start()->prompt_tokens, 21);
}

TEST(StepLoopOutputTest, ForkedChoicesDoNotWriteIntoEachOthersPages) {
  for (int prompt_size = 1; prompt_size <= 9; ++prompt_size) {
    EngineHarness harness;
    GenerationRequest request = MakeRequest(Prompt(prompt_size), 15);
    request.sampling.temperature = 1.5f;
    request.num_choices = 4;
    ExpectReference(request, *harness.Start(request), harness.model());
  }
}

TEST(StepLoopOutputTest, ScoringFeedsThePromptAndDrawsNothing) {
  std::atomic<int64_t> most_outputs{0};
  EngineHarness::Config config;
  config.limits = {
      .max_sequences = 4, .max_rows_per_step = 300, .prefill_chunk = 200, .page_tokens = 4};
  config.model.on_forward = [&](const ModelBatch& batch) {
    most_outputs = std::max<int64_t>(most_outputs, batch.logit_rows.dim(0));
    return absl::OkStatus();
  };
  EngineHarness harness(std::move(config));
  GenerationRequest request = MakeRequest(Prompt(150), 0);
  request.logprobs = LogprobsParams{.top = 3, .prompt = true};
  const auto sink = harness.Start(request);
  ASSERT_TRUE(sink->WaitEnd());
  ASSERT_TRUE(sink->status().ok());
  EXPECT_EQ(sink->misuse(), "");
  EXPECT_EQ(sink->usage().prompt_tokens, 150);
  EXPECT_EQ(sink->usage().completion_tokens, 0);
  EXPECT_EQ(sink->choice(0).finish, FinishReason::kLength);
  EXPECT_LE(most_outputs, 64);  // the logits of a long prompt are never held at once

  const std::vector<TokenOutput> scores = sink->start()->prompt;
  ASSERT_EQ(scores.size(), 150u);
  EXPECT_EQ(scores[0].token, request.prompt[0]);
  EXPECT_FALSE(scores[0].logprob.has_value());
  for (size_t i = 1; i < scores.size(); ++i) {
    const auto logits = FakeModel::LogitsAfter({request.prompt.data(), i}, harness.model());
    EXPECT_EQ(scores[i].token, request.prompt[i]);
    EXPECT_NEAR(*scores[i].logprob, LogSoftmax(logits, request.prompt[i]), 1e-5);
    ASSERT_EQ(scores[i].top.size(), 3u);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    EXPECT_EQ(scores[i].top[0].token, best);
    EXPECT_GE(scores[i].top[0].logprob, scores[i].top[1].logprob);
  }
}

TEST(StepLoopOutputTest, PromptScoresComeWithTheStartOfAReply) {
  EngineHarness harness;
  GenerationRequest request = MakeRequest(Prompt(30), 6);
  request.logprobs = LogprobsParams{.prompt = true};
  request.num_choices = 2;
  const auto sink = harness.Start(request);
  ExpectReference(request, *sink, harness.model());
  ASSERT_EQ(sink->start()->prompt.size(), 30u);
  EXPECT_TRUE(sink->start()->prompt[29].logprob.has_value());
}

TEST(StepLoopOutputTest, ASingleTokenPromptIsScoredToo) {
  EngineHarness harness;
  GenerationRequest request = MakeRequest({5}, 0);
  request.logprobs = LogprobsParams{.prompt = true};
  const auto sink = harness.Start(request);
  ASSERT_TRUE(sink->WaitEnd());
  ASSERT_EQ(sink->start()->prompt.size(), 1u);
  EXPECT_FALSE(sink->start()->prompt[0].logprob.has_value());
}

TEST(StepLoopOutputTest, LogprobsAreTheModelsOwnOrOfWhatWasDrawnFrom) {
  EngineHarness harness;
  GenerationRequest request = MakeRequest(Prompt(5), 8);
  request.sampling.temperature = 0.5f;
  request.sampling.top_k = 4;
  for (const bool processed : {false, true}) {
    request.logprobs = LogprobsParams{.top = 2, .processed = processed};
    const auto sink = harness.Start(request);
    ExpectReference(request, *sink, harness.model());
    std::vector<int32_t> history = request.prompt;
    for (const TokenOutput& output : sink->choice(0).tokens) {
      std::vector<float> logits = FakeModel::LogitsAfter(history, harness.model());
      if (processed) {
        std::vector<float> sorted = logits;
        std::sort(sorted.rbegin(), sorted.rend());
        for (float& logit : logits) logit = logit >= sorted[3] ? logit / 0.5f : -1e9f;
      }
      EXPECT_NEAR(*output.logprob, LogSoftmax(logits, output.token), 1e-5);
      ASSERT_EQ(output.top.size(), 2u);
      EXPECT_NEAR(output.top[1].logprob, LogSoftmax(logits, output.top[1].token), 1e-5);
      history.push_back(output.token);
    }
  }
}

TEST(StepLoopOutputTest, TextIsAssembledAndCutAsTheRequestAsks) {
  const std::vector<std::string> table = {"<e>", " He", "llo", "\xe4\xb8", "\x96",
                                          " EN", "D.",  "x",   "<s>"};
  struct Case {
    const char* name;
    std::vector<int32_t> script;
    StoppingParams stopping;
    std::string text;
    std::string matched;
    size_t tokens;
    FinishReason finish;
    bool strip;
  };
  constexpr FinishReason kStop = FinishReason::kStop, kLength = FinishReason::kLength;
  const StoppingParams until_end = {.max_tokens = 9, .end_tokens = {0}};
  const Case cases[] = {
      {"end token yields no text", {1, 2, 0}, until_end, " Hello", "", 3, kStop, false},
      {"length", {1, 2, 7}, {.max_tokens = 3}, " Hellox", "", 3, kLength, false},
      {"stop string over two tokens",
       {1, 5, 6, 7},
       {.max_tokens = 9, .stop = {" END"}},
       " He",
       " END",
       3,
       kStop,
       false},
      {"stop string stays",
       {1, 5, 6},
       {.max_tokens = 9, .stop = {" END"}, .include_stop = true},
       " He END",
       " END",
       3,
       kStop,
       false},
      {"stop wins over length",
       {1, 5, 6},
       {.max_tokens = 3, .stop = {"END"}},
       " He ",
       "END",
       3,
       kStop,
       false},
      {"held text is sent at the end",
       {1, 5, 7},
       {.max_tokens = 2, .stop = {" END"}},
       " He EN",
       "",
       2,
       kLength,
       false},
      {"split character", {3, 4, 0}, until_end, "\xe4\xb8\x96", "", 3, kStop, false},
      {"leading space", {1, 2, 0}, until_end, "Hello", "", 3, kStop, true},
      {"special tokens yield no text", {7, 8, 7, 0}, until_end, "xx", "", 4, kStop, false},
      {"stop strings rest before min_tokens",
       {5, 6, 7, 5, 6},
       {.max_tokens = 9, .min_tokens = 3, .stop = {"END"}},
       " END.x ",
       "END",
       5,
       kStop,
       false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EngineHarness::Config config;
    config.model = Scripted(c.script, static_cast<int64_t>(table.size()));
    config.tokenizer = std::make_shared<FakeTokenizer>(table, std::set<int32_t>{8});
    EngineHarness harness(std::move(config));
    GenerationRequest request = MakeRequest({1}, 0);
    request.stopping = c.stopping;
    request.strip_leading_space = c.strip;
    const auto sink = harness.Start(request);
    ASSERT_TRUE(sink->WaitEnd());
    const CollectingSink::Choice choice = sink->choice(0);
    EXPECT_EQ(choice.text, c.text);
    EXPECT_EQ(choice.finish, c.finish);
    EXPECT_EQ(choice.matched_stop, c.matched);
    EXPECT_EQ(choice.tokens.size(), c.tokens);
    EXPECT_EQ(sink->usage().completion_tokens, static_cast<int64_t>(c.tokens));
    EXPECT_EQ(sink->misuse(), "");
  }
}

TEST(StepLoopOutputTest, EndTokensAreNeverDrawnWhenIgnored) {
  EngineHarness::Config config;
  config.model = Scripted({4, 4, 4, 4}, 20);
  EngineHarness harness(std::move(config));
  GenerationRequest request = MakeRequest({1}, 4);
  request.stopping.end_tokens = {4};
  request.stopping.ignore_eos = true;
  const auto ignoring = harness.Start(request);
  ASSERT_TRUE(ignoring->WaitEnd());
  EXPECT_THAT(ignoring->choice(0).ids(),
              testing::AllOf(testing::SizeIs(4), testing::Not(testing::Contains(4))));
  request.stopping.ignore_eos = false;
  request.stopping.min_tokens = 2;
  const auto late = harness.Start(request);
  ASSERT_TRUE(late->WaitEnd());
  EXPECT_THAT(late->choice(0).ids(), ElementsAre(testing::Ne(4), testing::Ne(4), 4));
  EXPECT_EQ(late->choice(0).finish, FinishReason::kStop);
}

TEST(StepLoopOutputTest, IdsWithoutATokenAreNeverDrawn) {
  EngineHarness::Config config;
  config.model = Scripted({5, 5, 5}, 8);  // wants an id beyond the tokenizer's
  config.tokenizer = std::make_shared<FakeTokenizer>(std::vector<std::string>{"a", "b", "", "d"});
  EngineHarness harness(std::move(config));
  const auto sink = harness.Start(MakeRequest({1}, 3));
  ASSERT_TRUE(sink->WaitEnd());
  EXPECT_THAT(sink->choice(0).ids(), testing::Each(testing::AnyOf(0, 1, 3)));
}

TEST(StepLoopOutputTest, AllowedTokensBoundTheDrawAndADeadEndEndsItsRequestAlone) {
  EngineHarness harness;
  GenerationRequest request = MakeRequest(Prompt(5), 10);
  request.sampling.temperature = 1;
  request.sampling.allowed_tokens = {{11, 40}};
  const auto bounded = harness.Start(request);
  request.sampling.banned_tokens = {11, 40};
  const auto dead = harness.Start(request);
  ASSERT_TRUE(bounded->WaitEnd());
  ASSERT_TRUE(dead->WaitEnd());
  EXPECT_THAT(bounded->choice(0).ids(), testing::Each(testing::AnyOf(11, 40)));
  EXPECT_TRUE(bounded->status().ok());
  EXPECT_EQ(dead->status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(harness.loop().Load().free_state_slots, SmallLimits().max_sequences);
}

TEST(StepLoopOutputTest, LogitsThatAreNotNumbersEndTheirRequestAlone) {
  EngineHarness::Config config;
  config.model.on_logits = [](int64_t num_tokens, std::span<float> logits) {
    if (num_tokens == 50) logits[3] = std::nanf("");
  };
  EngineHarness harness(std::move(config));
  const GenerationRequest good = MakeRequest(Prompt(5), 10);
  const auto bad = harness.Start(MakeRequest(Prompt(45), 10));
  const auto sink = harness.Start(good);
  ExpectReference(good, *sink, harness.model());
  ASSERT_TRUE(bad->WaitEnd());
  EXPECT_EQ(bad->status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(bad->choice(0).ids().size(), 5u);
}

TEST(StepLoopOutputTest, PromptsWhoseLogitsAreNotNumbersHaveNoScores) {
  EngineHarness::Config config;
  config.model.on_logits = [](int64_t num_tokens, std::span<float> logits) {
    if (num_tokens == 12) logits[3] = std::nanf("");
  };
  EngineHarness harness(std::move(config));
  for (const int64_t max_tokens : {0, 4}) {
    GenerationRequest request = MakeRequest(Prompt(20), max_tokens);
    request.logprobs->prompt = true;
    const auto sink = harness.Start(request);
    ASSERT_TRUE(sink->WaitEnd());
    EXPECT_EQ(sink->status().code(), absl::StatusCode::kInternal);
    EXPECT_FALSE(sink->start().has_value());
  }
}

TEST(StepLoopOutputTest, MetricsCountTokensRequestsAndSteps) {
  MetricsRegistry registry;
  WorkerMetrics metrics(registry, "m");
  EngineHarness::Config config;
  config.loop.metrics = &metrics;
  EngineHarness harness(std::move(config));
  GenerationRequest request = MakeRequest(Prompt(10), 7);
  request.num_choices = 2;
  ASSERT_TRUE(harness.Start(request)->WaitEnd());
  harness.Stop();
  EXPECT_EQ(metrics.prompt_tokens.Value(), 10);
  EXPECT_EQ(metrics.generated_tokens.Value(), 14);
  const auto count = [](prometheus::Histogram& histogram) {
    return histogram.Collect().histogram.sample_count;
  };
  EXPECT_EQ(count(metrics.queue_seconds), 1u);
  EXPECT_EQ(count(metrics.first_token_seconds), 1u);
  EXPECT_EQ(count(metrics.inter_token_seconds), 12u);
  EXPECT_EQ(count(metrics.request_seconds), 1u);
  EXPECT_EQ(count(metrics.step_seconds), 8u);  // two chunks of the prompt, six decodes
  EXPECT_EQ(metrics.running_sequences.Value(), 0);
  EXPECT_EQ(metrics.free_state_slots.Value(), 8);
  EXPECT_THAT(registry.Text(), testing::HasSubstr("outcome=\"ok\""));
}

}  // namespace
}  // namespace skein
