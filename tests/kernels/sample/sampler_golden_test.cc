// The golden sampler cases: survivors and picks exact, distributions within 1e-5 in total
// variation.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "kernels/sample/distribution.h"
#include "kernels/sample/penalty_table.h"
#include "kernels/sample/philox.h"
#include "kernels/sample/sample.h"
#include "tests/kernels/sample/sample_batch.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

namespace json = boost::json;

// Just enough of safetensors for the one file here.
class Tensors {
 public:
  explicit Tensors(const std::string& path) : bytes_(ReadFileOrDie(path)) {
    uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, bytes_.data(), sizeof(header_bytes));
    header_ = json::parse({bytes_.data() + 8, header_bytes}).as_object();
    data_ = bytes_.data() + 8 + header_bytes;
  }
  bool Has(const std::string& name) const { return header_.contains(name); }
  template <typename T>
  std::vector<T> Read(const std::string& name) const {
    const json::array& range = header_.at(name).at("data_offsets").as_array();
    const int64_t begin = range[0].as_int64(), end = range[1].as_int64();
    std::vector<T> values((end - begin) / sizeof(T));
    std::memcpy(values.data(), data_ + begin, end - begin);
    return values;
  }

 private:
  std::string bytes_;
  json::object header_;
  const char* data_ = nullptr;
};

std::vector<int32_t> Ints(const json::value& value) {
  return json::value_to<std::vector<int32_t>>(value);
}
float Number(const json::value& value) { return value.to_number<float>(); }

SamplingParams ReadParams(const json::object& defaults, const json::object& overrides) {
  json::object all = defaults;
  for (const auto& [key, value] : overrides) all[key] = value;
  SamplingParams params;
  params.temperature = Number(all.at("temperature"));
  params.top_k = static_cast<int32_t>(all.at("top_k").as_int64());
  params.top_p = Number(all.at("top_p"));
  params.min_p = Number(all.at("min_p"));
  params.presence_penalty = Number(all.at("presence_penalty"));
  params.frequency_penalty = Number(all.at("frequency_penalty"));
  params.penalty_decay = Number(all.at("penalty_decay"));
  params.repetition_penalty = Number(all.at("repetition_penalty"));
  params.repetition_output_only = all.at("repetition_scope").as_string() == "output";
  params.prompt_penalty_weight = Number(all.at("prompt_penalty_weight"));
  params.order = all.at("order").as_string() == "hf" ? SamplingOrder::kHf : SamplingOrder::kRwkv;
  params.penalty_exempt_tokens = Ints(all.at("penalty_exempt"));
  params.banned_tokens = Ints(all.at("banned"));
  if (!all.at("allowed").is_null()) params.allowed_tokens = Ints(all.at("allowed"));
  for (const auto& [token, bias] : all.at("logit_bias").as_object()) {
    params.logit_bias.emplace_back(std::stoi(std::string(token)), Number(bias));
  }
  return params;
}

class SamplerGoldenTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto cases = GoldenPath("adapters/sampler/cases.json");
    const auto tensors = GoldenPath("adapters/sampler/sampler.safetensors");
    if (!cases || !tensors) GTEST_SKIP() << "no golden sampler cases here";
    json_ = json::parse(ReadFileOrDie(*cases)).as_object();
    tensors_.emplace(*tensors);
  }

  std::vector<double> ExpectedProbabilities(const std::string& name, int64_t vocab) const {
    const std::vector<float> listed = tensors_->Read<float>(name + ".probs");
    std::vector<double> all(vocab);
    if (!tensors_->Has(name + ".ids")) return {listed.begin(), listed.end()};
    const std::vector<int32_t> ids = tensors_->Read<int32_t>(name + ".ids");
    for (size_t i = 0; i < ids.size(); ++i) all[ids[i]] = listed[i];
    return all;
  }

  json::object json_;
  std::optional<Tensors> tensors_;
};

// The edits of a request, as the engine hands them to the sampler.
struct Edits {
  Edits(const SamplingParams& params, const json::object& golden, int64_t vocab)
      : banned(params.banned_tokens) {
    PenaltyTable table(params, Ints(golden.at("prompt")));
    for (const int32_t token : Ints(golden.at("output"))) table.Add(token);
    table.AppendTo(penalties);
    for (const auto& [token, bias] : params.logit_bias) biases.push_back({token, bias});
    if (!params.allowed_tokens) return;
    mask.resize((vocab + 31) / 32);
    for (const int32_t token : *params.allowed_tokens)
      mask[token / 32] |= uint32_t{1} << (token % 32);
  }
  RowEdits View() const { return {penalties, biases, banned, mask}; }

  std::vector<PenaltyEntry> penalties;
  std::vector<BiasEntry> biases;
  std::vector<int32_t> banned;
  std::vector<uint32_t> mask;
};

SampleRow RowOf(const SamplingParams& params) {
  return {.temperature = params.temperature,
          .top_p = params.top_p,
          .min_p = params.min_p,
          .top_k = params.top_k,
          .presence_penalty = params.presence_penalty,
          .frequency_penalty = params.frequency_penalty,
          .repetition_penalty = params.repetition_penalty,
          .order = params.order};
}

TEST_F(SamplerGoldenTest, DistributionsSurvivorsAndPicksAgree) {
  Distribution distribution;
  const json::array& cases = json_.at("cases").as_array();
  ASSERT_GE(cases.size(), 60u);
  for (const json::value& value : cases) {
    const json::object& golden = value.as_object();
    const std::string name = json::value_to<std::string>(golden.at("name"));
    SCOPED_TRACE(name);
    const int64_t vocab = golden.at("vocab").as_int64();
    const SamplingParams params =
        ReadParams(json_.at("defaults").as_object(), golden.at("params").as_object());
    std::vector<float> logits = tensors_->Read<float>(name + ".logits");
    const Edits edits(params, golden, vocab);
    EditLogits(RowOf(params), edits.View(), logits);
    ASSERT_EQ(distribution.Build(RowOf(params), logits), SampleOutcome::kOk);

    EXPECT_EQ(distribution.num_survivors(), golden.at("survivors").as_int64());
    const std::vector<double> expected = ExpectedProbabilities(name, vocab);
    const std::vector<double> actual = distribution.Probabilities();
    double variation = 0;
    for (int64_t i = 0; i < vocab; ++i) variation += std::abs(actual[i] - expected[i]) / 2;
    EXPECT_LE(variation, 1e-5);
    const json::array& uniforms = golden.at("u").as_array();
    for (size_t i = 0; i < uniforms.size(); ++i) {
      EXPECT_EQ(distribution.Draw(uniforms[i].to_number<double>()),
                golden.at("picked").as_array()[i].as_int64());
    }
  }
}

// A golden case drawn from many times.
SampleBatch DrawsOf(const json::object& golden, const SamplingParams& params,
                    const std::vector<float>& logits) {
  constexpr int kDraws = 100;
  SampleBatch batch(kDraws, static_cast<int64_t>(logits.size()), 1);
  batch.logits = logits;
  batch.logits_row.assign(kDraws, 0);
  const Edits edits(params, golden, batch.vocab);
  batch.masks = edits.mask;
  batch.penalty_begin = batch.bias_begin = batch.banned_begin = {0};
  const auto append = [](const auto& list, auto& lists, std::vector<int32_t>& begin) {
    lists.insert(lists.end(), list.begin(), list.end());
    begin.push_back(static_cast<int32_t>(lists.size()));
  };
  for (uint64_t step = 0; step < kDraws; ++step) {
    SampleRow& row = batch.rows[step] = RowOf(params);
    row.step = step;
    row.mask = edits.mask.empty() ? -1 : 0;
    row.logprob = row.processed = true;
    row.num_top = kMaxTopLogprobs;
    append(edits.penalties, batch.penalties, batch.penalty_begin);
    append(edits.biases, batch.biases, batch.bias_begin);
    append(edits.banned, batch.banned, batch.banned_begin);
  }
  return batch;
}

TEST_F(SamplerGoldenTest, EveryBackendDrawsFromTheseDistributions) {
  for (const json::value& value : json_.at("cases").as_array()) {
    const json::object& golden = value.as_object();
    const std::string name = json::value_to<std::string>(golden.at("name"));
    const std::vector<double> expected = ExpectedProbabilities(name, golden.at("vocab").as_int64());
    const SampleBatch draws = DrawsOf(
        golden, ReadParams(json_.at("defaults").as_object(), golden.at("params").as_object()),
        tensors_->Read<float>(name + ".logits"));
    std::vector<int32_t> tokens;
    for (const Backend backend : RunnableBackends()) {
      SCOPED_TRACE(name + (backend == Backend::kCuda ? " on CUDA" : " on the CPU"));
      SampleBatch batch = draws;
      ASSERT_TRUE(RunOn(backend, batch).ok());
      for (size_t i = 0; i < batch.tokens.size(); ++i) {
        EXPECT_NEAR(std::exp(batch.logprobs[i]), expected[batch.tokens[i]], 1e-5);
      }
      for (int i = 0; i < std::min<int64_t>(kMaxTopLogprobs, batch.vocab); ++i) {
        EXPECT_NEAR(std::exp(batch.top_logprobs[i]), expected[batch.top_tokens[i]], 1e-5);
      }
      if (tokens.empty()) tokens = batch.tokens;
      EXPECT_EQ(batch.tokens, tokens);
    }
  }
}

TEST_F(SamplerGoldenTest, RawTopLogprobsAgree) {
  ParallelFor threads(1);
  for (const json::value& value : json_.at("cases").as_array()) {
    const json::object& golden = value.as_object();
    const std::string name = json::value_to<std::string>(golden.at("name"));
    SCOPED_TRACE(name);
    std::vector<float> logits = tensors_->Read<float>(name + ".logits");
    const json::array& expected = golden.at("raw_top_logprobs").as_array();
    const SampleRow row{.num_top = static_cast<int32_t>(expected.size()), .logprob = true};
    int32_t token = 0;
    float logprob = 0;
    SampleOutcome outcome{};
    std::vector<int32_t> top_tokens(kMaxTopLogprobs);
    std::vector<float> top_logprobs(kMaxTopLogprobs);
    SampleArgs args;
    args.logits = {logits.data(), {1, static_cast<int64_t>(logits.size())}};
    args.rows = {&row, {1}};
    args.tokens = {&token, {1}};
    args.outcomes = {&outcome, {1}};
    args.logprobs = {&logprob, {1}};
    args.top_tokens = {top_tokens.data(), {1, kMaxTopLogprobs}};
    args.top_logprobs = {top_logprobs.data(), {1, kMaxTopLogprobs}};
    ASSERT_TRUE(Sample(args, Stream(threads)).ok());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(top_tokens[i], expected[i].at(0).as_int64());
      const double logarithm = expected[i].at(1).to_number<double>();
      EXPECT_NEAR(top_logprobs[i], logarithm, 2e-6 * std::max(1.0, std::abs(logarithm)));
    }
  }
}

TEST_F(SamplerGoldenTest, PenaltyTablesAgree) {
  for (const json::value& value : json_.at("penalty_tables").as_array()) {
    const json::object& golden = value.as_object();
    SamplingParams params;
    params.frequency_penalty = 1;
    params.penalty_decay = Number(golden.at("penalty_decay"));
    params.prompt_penalty_weight = Number(golden.at("prompt_penalty_weight"));
    PenaltyTable table(params, Ints(golden.at("prompt")));
    for (const int32_t token : Ints(golden.at("output"))) table.Add(token);
    std::vector<PenaltyEntry> entries;
    table.AppendTo(entries);
    std::map<int64_t, double> expected;
    for (const json::value& pair : golden.at("counts").as_array()) {
      expected[pair.at(0).as_int64()] = pair.at(1).to_number<double>();
    }
    ASSERT_EQ(entries.size(), expected.size());
    for (const PenaltyEntry& entry : entries)
      EXPECT_NEAR(entry.count, expected.at(entry.token), 1e-5);
  }
}

TEST_F(SamplerGoldenTest, PhiloxVectorsAgree) {
  for (const json::value& value : json_.at("philox").as_array()) {
    const uint64_t seed = value.at("seed").to_number<uint64_t>();
    const uint64_t step = value.at("step").to_number<uint64_t>();
    const uint32_t choice = value.at("choice").to_number<uint32_t>();
    const auto words = Philox(seed, step, choice);
    for (size_t i = 0; i < 4; ++i)
      EXPECT_EQ(words[i], value.at("philox").as_array()[i].to_number<uint32_t>());
    EXPECT_EQ(DrawUniform(seed, step, choice), value.at("u").to_number<double>());
  }
}

}  // namespace
}  // namespace skein
