// The golden mixture decoded in lock-step, through the whole engine.
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "tests/testing/collecting_sink.h"
#include "tests/testing/golden.h"
#include "tests/testing/safetensors.h"
#include "worker/engine/step_loop.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr int kWidth = 8;

// s <- tanh(P s + E[token]), logits = M s.
class ToyModel final : public Model {
 public:
  explicit ToyModel(const GoldenTensors& golden)
      : p_(golden.Floats("toy.P")), e_(golden.Floats("toy.E")), m_(golden.Floats("toy.M")) {
    description_ = {.architecture = "toy",
                    .weight_format = "fp32",
                    .vocab_size = static_cast<int64_t>(m_.size()) / kWidth};
    state_layout_.fields = {{.name = "s", .layer = 0, .offset = 0, .shape = {kWidth}}};
    state_layout_.bytes = kWidth * sizeof(float);
  }
  const ModelDescription& description() const override { return description_; }
  const StateLayout& state_layout() const override { return state_layout_; }
  const KvLayout& kv_layout() const override { return kv_layout_; }

  absl::Status Forward(const ModelBatch& batch, const Stream&) override {
    int64_t output = 0;
    for (int64_t i = 0; i < batch.num_sequences(); ++i) {
      float* const s = static_cast<float*>(batch.state.base) + int64_t{batch.slots[i]} * kWidth;
      for (int32_t row = batch.row_begin[i]; row < batch.row_begin[i + 1]; ++row) {
        Feed(batch.tokens[row], s);
        if (output == batch.logit_rows.dim(0) || batch.logit_rows[output] != row) continue;
        for (int64_t t = 0; t < description_.vocab_size; ++t) {
          batch.logits.row(output)[t] = Dot(m_, t, s);
        }
        ++output;
      }
    }
    return absl::OkStatus();
  }

 private:
  static float Dot(const std::vector<float>& matrix, int64_t row, const float* s) {
    double sum = 0;
    for (int i = 0; i < kWidth; ++i) sum += static_cast<double>(matrix[row * kWidth + i]) * s[i];
    return static_cast<float>(sum);
  }
  void Feed(int32_t token, float* s) const {
    float next[kWidth];
    for (int i = 0; i < kWidth; ++i) next[i] = std::tanh(Dot(p_, i, s) + e_[token * kWidth + i]);
    std::memcpy(s, next, sizeof(next));
  }

  const std::vector<float> p_, e_, m_;
  ModelDescription description_;
  StateLayout state_layout_;
  KvLayout kv_layout_;
};

TEST(MixtureGoldenTest, TheToyModelDecodesTheGoldenTokensFromThreeStatesAtOnce) {
  const std::string folder = *GoldenPath("adapters/mrss");
  const GoldenTensors golden(folder + "/mrss.safetensors");
  const json::value cases = json::parse(ReadFileOrDie(folder + "/cases.json"));
  const json::value* toy = nullptr;
  for (const json::value& one : cases.at("cases").as_array()) {
    if (one.at("name").as_string() == "toy_decode") toy = &one;
  }
  ASSERT_NE(toy, nullptr);
  const auto expected = json::value_to<std::vector<int32_t>>(toy->at("greedy_tokens"));
  const std::vector<float> starts = golden.Floats("toy.init");

  GenerationRequest request;
  request.prompt = json::value_to<std::vector<int32_t>>(toy->at("prompt"));
  request.sampling.temperature = 0;
  request.stopping.max_tokens = static_cast<int64_t>(expected.size());
  request.logprobs.emplace();
  for (const json::value& weight : toy->at("weights").as_array()) {
    InitialState state{.record = *Arena::Create(kWidth * sizeof(float)), .content_hash = ""};
    std::memcpy(state.record->data(), starts.data() + request.conditioning.branches.size() * kWidth,
                kWidth * sizeof(float));
    request.conditioning.branches.push_back(
        {std::make_shared<const InitialState>(std::move(state)), weight.to_number<float>()});
  }
  ASSERT_EQ(request.conditioning.branches.size(), 3u);

  ParallelFor threads(1);
  for (const int chunk : {256, 3}) {  // the prompt whole, and a token at a time
    StepLoop::Options options;
    options.limits.prefill_chunk = chunk;
    auto loop = StepLoop::Create(std::make_unique<ToyModel>(golden), nullptr, Stream(threads),
                                 std::move(options));
    ASSERT_TRUE(loop.ok()) << loop.status();
    const auto sink = std::make_shared<CollectingSink>();
    request.sink = sink;
    ASSERT_TRUE((*loop)->Submit(request).ok());
    ASSERT_TRUE(sink->WaitEnd());
    EXPECT_EQ(sink->choice(0).ids(), expected);
    EXPECT_EQ(sink->usage().state_rows, 3);
  }
}

}  // namespace
}  // namespace skein
