#include "tools/random_model/shapes.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace skein::random_model {
namespace {

struct Ranks {
  int64_t w, a, v, g;
};

ModelShape Rwkv7(const char* name, int64_t layers, int64_t width, int64_t vocab, Ranks ranks) {
  ModelShape shape;
  shape.name = name;
  shape.layers = layers;
  shape.width = width;
  shape.head_dim = 64;
  shape.heads = shape.kv_heads = width / shape.head_dim;
  shape.ffn_width = 4 * width;
  shape.vocab = vocab;
  shape.rank_w = ranks.w;
  shape.rank_a = ranks.a;
  shape.rank_v = ranks.v;
  shape.rank_g = ranks.g;
  return shape;
}

ModelShape Hybrid8B() {
  return {"hybrid-8B", true, 36, 4096, 32, 8, 128, 12288, 151936, 256, 128, 96, 96, 256, 4, 0.5};
}

ModelShape HybridTiny() {
  return {"hybrid-tiny", true, 4, 128, 4, 2, 64, 256, 512, 24, 12, 10, 14, 40, 2, 0.5};
}

std::vector<ModelShape> AllShapes() {
  constexpr int64_t kWorld = 65536;
  return {
      Rwkv7("tiny", 3, 128, 512, {24, 24, 16, 40}),
      Rwkv7("0.1B", 12, 768, kWorld, {64, 64, 32, 128}),
      Rwkv7("0.4B", 24, 1024, kWorld, {64, 64, 32, 128}),
      Rwkv7("1.5B", 24, 2048, kWorld, {96, 96, 64, 256}),
      Rwkv7("2.9B", 32, 2560, kWorld, {96, 96, 64, 320}),
      Rwkv7("7.2B", 32, 4096, kWorld, {128, 128, 96, 480}),
      HybridTiny(),
      Hybrid8B(),
  };
}

constexpr float kSqrt3 = 1.7320508f;  // half the width of a uniform distribution of variance 1

Distribution Around(float mean, float spread) { return {mean, spread}; }
// A matrix that keeps the size of what it is applied to, times `gain`.
Distribution Gain(int64_t inputs, float gain) {
  return Around(0.0f, gain * kSqrt3 / std::sqrt(static_cast<float>(inputs)));
}
Distribution NormWeight() { return Around(1.0f, 0.1f); }
Distribution Bias() { return Around(0.0f, 0.05f); }
Distribution WithFirst(Distribution values, float first) {
  values.first_column = first;
  return values;
}

// The mean of max(g - t, 0)^4 for a standard normal g: of the square of a hidden unit.
double HiddenPower(double t) {
  const double above = 0.5 * std::erfc(t / std::sqrt(2.0));
  const double density = std::exp(-0.5 * t * t) / std::sqrt(2.0 * M_PI);
  return (t * t * t * t + 6 * t * t + 3) * above - (t * t * t + 5 * t) * density;
}

// The t for which a standard normal variable is below t with probability `share`.
float NormalQuantile(double share) {
  double low = -8.0, high = 8.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < share ? low : high) = middle;
  }
  return static_cast<float>(low);
}

class Planner {
 public:
  explicit Planner(const ModelShape& shape) : shape_(shape) {}

  std::vector<PlannedTensor> Plan() { return shape_.hybrid ? PlanHybrid() : PlanRwkv7(); }

 private:
  void Add(const std::string& name, Shape shape, Distribution values) {
    tensors_.push_back({absl::StrCat(prefix_, name), std::move(shape), values});
  }
  void AddNorm(const std::string& name, int64_t width) {
    Add(name + ".weight", {width}, NormWeight());
    Add(name + ".bias", {width}, Bias());
  }
  // bias0 + f(x m1) m2: the low-rank maps of decay, learning rate, mixing and gate.
  void AddLowRank(const std::string& name, int64_t rank, int64_t out, float gain) {
    Add(name + "1", {shape_.width, rank}, Gain(shape_.width, 1.0f));
    Add(name + "2", {rank, out}, Gain(rank, gain));
  }
  void AddDecay(int64_t layer, int64_t out) {
    // Channels forget within 10 to 1000 tokens; later layers hold more channels that remember.
    const float depth = static_cast<float>(layer) / static_cast<float>(shape_.layers);
    Add("w0", {1, 1, out}, {-6.0f, 0.3f, -1.0f, 1.0f + depth});
    AddLowRank("w", shape_.rank_w, out, 0.5f);
  }

  std::vector<PlannedTensor> PlanRwkv7() {
    const int64_t width = shape_.width;
    Add("emb.weight", {shape_.vocab, width}, Around(0.0f, 1.0f));
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      const std::string block = absl::StrCat("blocks.", layer, ".");
      prefix_ = block;
      if (layer == 0) AddNorm("ln0", width);
      AddNorm("ln1", width);
      prefix_ = block + "att.";
      AddTimeMix(layer);
      prefix_ = block;
      AddChannelMix();
    }
    prefix_.clear();
    AddNorm("ln_out", width);
    Add("head.weight", {shape_.vocab, width}, Gain(width, 2.0f));
    return std::move(tensors_);
  }

  // Channel 0 is 1 for every token, and its column of the key matrix a threshold that the share
  // `ffn_zeros` of the sums stays below. The sums are normal with the length of the mixed input as
  // deviation, so each channel comes almost wholly from one of the two tokens: then that length
  // does not depend on how alike they are.
  void AddChannelMix() {
    constexpr float kInputLength = 0.995f;  // over sqrt(D), as norm and mixing leave it
    const int64_t width = shape_.width;
    const float quantile = NormalQuantile(shape_.ffn_zeros);
    const float threshold = kInputLength * quantile;
    Add("ln2.weight", {width}, WithFirst(NormWeight(), 0.0f));
    Add("ln2.bias", {width}, WithFirst(Bias(), 1.0f));
    Add("ffn.x_k", {1, 1, width}, {0.5f, 0.02f, 0.0f, 0.0f, 0.48f, 0.0f});
    Add("ffn.key.weight", {shape_.ffn_width, width}, WithFirst(Gain(width, 1.0f), -threshold));
    // The fewer units live, the more each must count for their sum to keep its size.
    const float gain = static_cast<float>(0.5 * std::sqrt(HiddenPower(0) / HiddenPower(quantile)));
    Add("ffn.value.weight", {width, shape_.ffn_width}, Gain(shape_.ffn_width, gain));
  }

  void AddTimeMix(int64_t layer) {
    const int64_t width = shape_.width;
    const int64_t inner = shape_.heads * shape_.head_dim;
    for (const char* mix : {"x_r", "x_w", "x_k", "x_v", "x_a", "x_g"}) {
      Add(mix, {1, 1, width}, Around(0.5f, 0.5f));
    }
    AddDecay(layer, inner);
    Add("a0", {1, 1, inner}, Around(0.0f, 1.0f));
    AddLowRank("a", shape_.rank_a, inner, 0.5f);
    if (layer > 0) {  // the first layer's value is what the others mix with
      Add("v0", {1, 1, inner}, Around(0.5f, 0.5f));
      AddLowRank("v", shape_.rank_v, inner, 0.5f);
    }
    AddLowRank("g", shape_.rank_g, inner, 1.0f);
    Add("k_k", {1, 1, inner}, Around(0.85f, 0.1f));
    Add("k_a", {1, 1, inner}, Around(1.0f, 0.1f));
    Add("r_k", {shape_.heads, shape_.head_dim}, Around(0.0f, 0.1f));
    for (const char* name : {"receptance.weight", "key.weight", "value.weight"}) {
      Add(name, {inner, width}, Gain(width, 1.0f));
    }
    Add("output.weight", {width, inner}, Gain(inner, 0.5f));
    AddNorm("ln_x", inner);
  }

  std::vector<PlannedTensor> PlanHybrid() {
    const int64_t width = shape_.width;
    Add("model.embed_tokens.weight", {shape_.vocab, width}, Around(0.0f, 1.0f));
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      const std::string block = absl::StrCat("model.layers.", layer, ".");
      prefix_ = block;
      Add("input_layernorm.weight", {width}, NormWeight());
      Add("post_attention_layernorm.weight", {width}, NormWeight());
      prefix_ = block + "self_attn.";
      if (shape_.IsAttention(layer)) {
        AddAttention();
      } else {
        AddHybridTimeMix(layer);
      }
      prefix_ = block + "mlp.";
      Add("gate_proj.weight", {shape_.ffn_width, width}, Gain(width, 1.0f));
      Add("up_proj.weight", {shape_.ffn_width, width}, Gain(width, 1.0f));
      Add("down_proj.weight", {width, shape_.ffn_width}, Gain(shape_.ffn_width, 1.0f));
    }
    prefix_.clear();
    Add("model.norm.weight", {width}, NormWeight());
    Add("lm_head.weight", {shape_.vocab, width}, Gain(width, 2.0f));
    return std::move(tensors_);
  }

  void AddAttention() {
    const int64_t width = shape_.width;
    const int64_t inner = shape_.heads * shape_.head_dim;
    const int64_t kv_width = shape_.kv_heads * shape_.head_dim;
    Add("q_proj.weight", {inner, width}, Gain(width, 1.0f));
    Add("k_proj.weight", {kv_width, width}, Gain(width, 1.0f));
    Add("v_proj.weight", {kv_width, width}, Gain(width, 1.0f));
    Add("o_proj.weight", {width, inner}, Gain(inner, 1.0f));
    Add("q_norm.weight", {shape_.head_dim}, NormWeight());
    Add("k_norm.weight", {shape_.head_dim}, NormWeight());
  }

  void AddHybridTimeMix(int64_t layer) {
    const int64_t width = shape_.width;
    const int64_t inner = shape_.heads * shape_.head_dim;
    const int64_t kv_width = shape_.kv_heads * shape_.head_dim;
    Add("receptance.weight", {inner, width}, Gain(width, 1.0f));
    Add("key.weight", {kv_width, width}, Gain(width, 1.0f));
    Add("value.weight", {kv_width, width}, Gain(width, 1.0f));
    Add("output.weight", {width, inner}, Gain(inner, 0.5f));
    Add("r_norm.weight", {shape_.head_dim}, NormWeight());
    Add("k_norm.weight", {shape_.head_dim}, NormWeight());
    AddDecay(layer, inner);
    Add("a0", {1, 1, inner}, Around(0.0f, 1.0f));
    AddLowRank("a", shape_.rank_a, inner, 0.5f);
    Add("v0", {1, 1, kv_width}, Around(0.5f, 0.5f));
    AddLowRank("v", shape_.rank_v, kv_width, 0.5f);
    Add("k0", {1, 1, kv_width}, Around(0.5f, 0.5f));
    AddLowRank("k", shape_.rank_k, kv_width, 0.5f);
    // The recurrence's output has no norm of its own and is far above 1: the gate brings it down.
    AddLowRank("g", shape_.rank_g, inner, 0.1f);
    Add("r_k", {shape_.heads, shape_.head_dim}, Around(0.0f, 0.05f));
  }

  const ModelShape& shape_;
  std::string prefix_;
  std::vector<PlannedTensor> tensors_;
};

}  // namespace

absl::StatusOr<ModelShape> FindShape(absl::string_view name) {
  std::string known;
  for (const ModelShape& shape : AllShapes()) {
    if (shape.name == name) return shape;
    absl::StrAppend(&known, known.empty() ? "" : ", ", shape.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--shape \"", name, "\" is not known, expected one of ", known));
}

std::string DescribeShapes() {
  std::string text;
  for (const ModelShape& shape : AllShapes()) {
    absl::StrAppendFormat(&text, "  %-12s %-6s %2d layers of %4d, vocabulary %6d", shape.name,
                          shape.hybrid ? "hybrid" : "rwkv7", shape.layers, shape.width,
                          shape.vocab);
    if (shape.hybrid) {
      absl::StrAppendFormat(&text, ", 1 layer in %d is attention", shape.attention_every);
    }
    absl::StrAppend(&text, "\n");
  }
  return text;
}

absl::Status ValidateShape(const ModelShape& shape) {
  constexpr int64_t kMinVocab = 259;      // 256 bytes and three special tokens
  constexpr int64_t kMaxVocab = 200'000;  // what the synthetic vocabulary can fill
  constexpr int64_t kMaxLayers = 1000;
  constexpr double kMaxZeros = 0.99;
  if (shape.vocab < kMinVocab || shape.vocab > kMaxVocab) {
    return absl::InvalidArgumentError(
        absl::StrCat("--vocab ", shape.vocab, ", expected ", kMinVocab, " to ", kMaxVocab));
  }
  if (shape.layers < 1 || shape.layers > kMaxLayers) {
    return absl::InvalidArgumentError(
        absl::StrCat("--layers ", shape.layers, ", expected 1 to ", kMaxLayers));
  }
  if (shape.ffn_zeros < 0.5 || shape.ffn_zeros > kMaxZeros) {
    return absl::InvalidArgumentError(
        absl::StrCat("--ffn-zeros ", shape.ffn_zeros, ", expected 0.5 to ", kMaxZeros));
  }
  return absl::OkStatus();
}

std::vector<PlannedTensor> PlanTensors(const ModelShape& shape) { return Planner(shape).Plan(); }

}  // namespace skein::random_model
