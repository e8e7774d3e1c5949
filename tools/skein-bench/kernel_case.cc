#include "tools/skein-bench/kernel_case.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/status_macros.h"
#include "kernels/channel_mix_in/channel_mix_in.h"
#include "kernels/channel_mix_out/channel_mix_out.h"
#include "kernels/head/head.h"
#include "kernels/paged_attention/paged_attention.h"
#include "kernels/project_add/project_add.h"
#include "kernels/sample/sample.h"
#include "kernels/time_mix_in/time_mix_in.h"
#include "kernels/time_mix_wkv/time_mix_wkv.h"
#include "worker/layers/step_types.h"

namespace skein::bench {
namespace {

using random_model::Distribution;
using random_model::ModelShape;

constexpr float kSqrt3 = 1.7320508f;  // half the width of a uniform variable of variance 1
constexpr int64_t kBeyondCaches = 160'000'000;  // bytes
constexpr Distribution kNormal = {.spread = kSqrt3};
constexpr int32_t kFirstPosition = 100;

// Makes the arguments of one operation.
class Maker {
 public:
  Maker(const KernelOptions& options, Device& device, OpMemory& memory)
      : options_(options),
        shape_(options.engine.shape),
        memory_(memory),
        stream_(device.stream()),
        weight_(options.engine.format),
        rows_(options.rows.count()) {
    if (!stream_.on_cpu()) types_.operand = weight_;
    MakeSequences();
  }

  KernelCase TimeMixInCase();
  KernelCase TimeMixWkvCase();
  KernelCase ProjectAddCase();
  KernelCase ChannelMixInCase();
  KernelCase ChannelMixOutCase();
  KernelCase HeadCase();
  KernelCase SampleCase();
  KernelCase PagedAttentionCase();

 private:
  int64_t inner() const { return shape_.heads * shape_.head_dim; }
  DType result() const { return types_.result(rows_); }

  void MakeSequences() {
    const int64_t count = options_.rows.sequences, tokens = options_.rows.tokens;
    std::vector<int32_t> begin(count + 1), slots(count), positions(rows_);
    for (int64_t s = 0; s <= count; ++s) begin[s] = static_cast<int32_t>(s * tokens);
    std::iota(slots.begin(), slots.end(), 1);
    for (int64_t i = 0; i < rows_; ++i) {
      positions[i] = static_cast<int32_t>(kFirstPosition + i % tokens);
    }
    sequences_.row_begin = {Ints(begin), {count + 1}};
    sequences_.slots = {Ints(slots), {count}};
    sequences_.num_rows = rows_;
    sequences_.max_rows = tokens;
    positions_ = {Ints(positions), {rows_}};
  }
  const int32_t* Ints(const std::vector<int32_t>& values) {
    return static_cast<const int32_t*>(memory_.Integers(values));
  }

  TensorView<const float> Vector(int64_t size, const Distribution& values) {
    const void* const data = memory_.Random(DType::kF32, weight_, {size}, values);
    return {static_cast<const float*>(data), {size}};
  }
  TensorView<float> Floats(const Shape& shape, const Distribution& values = kNormal) {
    return {static_cast<float*>(memory_.Random(DType::kF32, weight_, shape, values)), shape};
  }
  ActivationView Activation(int64_t cols, DType dtype, const Distribution& values = kNormal) {
    return {memory_.Random(dtype, weight_, {rows_, cols}, values), dtype, {rows_, cols}};
  }
  ActivationView Space(int64_t cols, DType dtype) {
    return {memory_.Bytes(rows_ * cols * DTypeBytes(dtype)), dtype, {rows_, cols}};
  }
  TensorView<float> FloatSpace(int64_t rows, int64_t cols) {
    return {static_cast<float*>(memory_.Bytes(rows * cols * 4)), {rows, cols}};
  }
  // A field of `elements` values in the record of each slot.
  StateTensor State(int64_t elements, DType dtype, float spread) {
    const Shape shape = {options_.rows.sequences + 1, elements};
    return {memory_.Random(dtype, weight_, shape, {.spread = spread}), elements * DTypeBytes(dtype),
            dtype};
  }
  KernelCase::Part Part(const StateTensor& state) const {
    return {state.base, state.dtype,
            (options_.rows.sequences + 1) * state.slot_stride / DTypeBytes(state.dtype)};
  }
  static KernelCase::Part Part(const ActivationView& view) {
    return {view.data(), view.dtype(), view.size()};
  }
  static KernelCase::Part Part(const TensorView<float>& view) {
    return {view.data(), DType::kF32, view.size()};
  }
  // So many that all of them are beyond the caches.
  int64_t Copies(double bytes_of_one) const {
    const auto wanted = static_cast<int64_t>(kBeyondCaches / std::max(bytes_of_one, 1.0)) + 1;
    return std::clamp<int64_t>(wanted, 1, options_.max_copies);
  }
  double Bytes(int64_t elements, DType dtype) const {
    return static_cast<double>(elements * DTypeBytes(dtype));
  }
  // Runs `op` with one of some sets of arguments.
  template <typename Args>
  KernelCase Over(std::vector<Args> args, absl::Status (*op)(const Args&, const Stream&)) {
    KernelCase result;
    result.copies = static_cast<int64_t>(args.size());
    auto shared = std::make_shared<const std::vector<Args>>(std::move(args));
    result.run = [shared, op, stream = stream_](int64_t copy) {
      return op((*shared)[copy], stream);
    };
    return result;
  }
  void MakeTimeMixWeights(TimeMixInArgs& args);
  void MakeWkvWeights(TimeMixWkvArgs& args);

  const KernelOptions& options_;
  const ModelShape& shape_;
  OpMemory& memory_;
  const Stream stream_;
  const DType weight_;
  const int64_t rows_;
  StepTypes types_;
  SequenceRows sequences_;
  TensorView<const int32_t> positions_;
};

void Maker::MakeTimeMixWeights(TimeMixInArgs& args) {
  const int64_t width = shape_.width;
  args.receptance = memory_.Matrix(weight_, inner(), width);
  args.key = memory_.Matrix(weight_, inner(), width);
  args.value = memory_.Matrix(weight_, inner(), width);
  args.w1 = memory_.Matrix(weight_, shape_.rank_w, width);
  args.a1 = memory_.Matrix(weight_, shape_.rank_a, width);
  args.v1 = memory_.Matrix(weight_, shape_.rank_v, width);
  args.g1 = memory_.Matrix(weight_, shape_.rank_g, width);
  args.shift = State(width, DType::kF32, kSqrt3);
}

KernelCase Maker::TimeMixInCase() {
  const int64_t width = shape_.width;
  TimeMixInArgs args;
  args.x = Floats({rows_, width});
  args.norm_weight = Vector(width, {.mean = 1.0f, .spread = 0.1f});
  args.norm_bias = Vector(width, {.spread = 0.05f});
  for (auto& mix : args.mix) mix = Vector(width, {.mean = 0.5f, .spread = 0.5f});
  args.sequences = sequences_;
  args.normed = FloatSpace(rows_, width);
  for (ActivationView& mixed : args.mixed) mixed = Space(width, types_.operand);
  for (ActivationView* out : {&args.r, &args.k, &args.v}) *out = Space(inner(), result());
  args.w_rank = Space(shape_.rank_w, types_.operand);
  args.a_rank = Space(shape_.rank_a, types_.operand);
  args.v_rank = Space(shape_.rank_v, types_.operand);
  args.g_rank = Space(shape_.rank_g, types_.operand);
  const int64_t ranks = shape_.rank_w + shape_.rank_a + shape_.rank_v + shape_.rank_g;
  const int64_t weights = (3 * inner() + ranks) * width;
  const double bytes = Bytes(weights, weight_);
  std::vector<TimeMixInArgs> all(Copies(bytes), args);
  for (TimeMixInArgs& copy : all) MakeTimeMixWeights(copy);
  const TimeMixInArgs first = all[0];
  KernelCase made = Over(std::move(all), TimeMixIn);
  made.bytes = bytes + Bytes(rows_ * width, DType::kF32) + Bytes(rows_ * 3 * inner(), result()) +
               Bytes(rows_ * ranks, types_.operand) +
               2 * Bytes(options_.rows.sequences * width, DType::kF32);
  made.flops = 2.0 * static_cast<double>(weights * rows_);
  for (const ActivationView& out :
       {first.r, first.k, first.v, first.w_rank, first.a_rank, first.v_rank, first.g_rank}) {
    made.outputs.push_back(Part(out));
  }
  made.in_place = {Part(first.shift)};
  return made;
}

void Maker::MakeWkvWeights(TimeMixWkvArgs& args) {
  args.w2 = memory_.Matrix(weight_, inner(), shape_.rank_w);
  args.a2 = memory_.Matrix(weight_, inner(), shape_.rank_a);
  args.v2 = memory_.Matrix(weight_, inner(), shape_.rank_v);
  args.g2 = memory_.Matrix(weight_, inner(), shape_.rank_g);
  const DType state = stream_.on_cpu() ? DType::kF32 : options_.engine.state;
  args.state = State(inner() * shape_.head_dim, state, 1.0f);
}

KernelCase Maker::TimeMixWkvCase() {
  TimeMixWkvArgs args;
  for (ConstActivationView* in : {&args.r, &args.k, &args.v}) *in = Activation(inner(), result());
  args.w_rank = Activation(shape_.rank_w, types_.operand);
  args.a_rank = Activation(shape_.rank_a, types_.operand);
  args.v_rank = Activation(shape_.rank_v, types_.operand);
  args.g_rank = Activation(shape_.rank_g, types_.operand);
  args.w0 = Vector(inner(), {.mean = -6.0f, .spread = 0.3f, .mean_end = -1.0f, .ramp = 1.0f});
  args.a0 = Vector(inner(), {.spread = 1.0f});
  args.v0 = Vector(inner(), {.mean = 0.5f, .spread = 0.5f});
  args.k_k = Vector(inner(), {.mean = 0.85f, .spread = 0.1f});
  args.k_a = Vector(inner(), {.mean = 1.0f, .spread = 0.1f});
  args.r_k = Floats({shape_.heads, shape_.head_dim}, {.spread = 0.1f});
  args.norm_weight = Vector(inner(), {.mean = 1.0f, .spread = 0.1f});
  args.norm_bias = Vector(inner(), {.spread = 0.05f});
  args.positions = positions_;
  args.sequences = sequences_;
  for (ActivationView* space : {&args.w, &args.a, &args.g, &args.v_mix}) {
    *space = Space(inner(), result());
  }
  args.v_first = Activation(inner(), result());
  args.y = Space(inner(), types_.operand);
  const int64_t ranks = shape_.rank_w + shape_.rank_a + shape_.rank_v + shape_.rank_g;
  const DType state = stream_.on_cpu() ? DType::kF32 : options_.engine.state;
  const double states = 2 * Bytes(options_.rows.sequences * inner() * shape_.head_dim, state);
  const double bytes = Bytes(inner() * ranks, weight_) + states;
  std::vector<TimeMixWkvArgs> all(Copies(bytes), args);
  for (TimeMixWkvArgs& copy : all) MakeWkvWeights(copy);
  const TimeMixWkvArgs first = all[0];
  KernelCase made = Over(std::move(all), TimeMixWkv);
  made.bytes = bytes + Bytes(rows_ * 4 * inner(), result()) +
               Bytes(rows_ * (ranks + inner()), types_.operand);
  made.flops = 2.0 * static_cast<double>(rows_ * inner() * (ranks + 4 * shape_.head_dim));
  made.outputs = {Part(first.y)};
  made.in_place = {Part(first.state)};
  return made;
}

KernelCase Maker::ProjectAddCase() {
  const int64_t width = shape_.width;
  ProjectAddArgs args;
  args.x = Activation(inner(), types_.operand);
  args.product = FloatSpace(rows_, width);
  args.residual = Floats({rows_, width});
  const double bytes = Bytes(width * inner(), weight_);
  std::vector<ProjectAddArgs> all(Copies(bytes), args);
  for (ProjectAddArgs& copy : all) copy.weight = memory_.Matrix(weight_, width, inner());
  KernelCase made = Over(std::move(all), ProjectAdd);
  made.bytes =
      bytes + Bytes(rows_ * inner(), types_.operand) + 2 * Bytes(rows_ * width, DType::kF32);
  made.flops = 2.0 * static_cast<double>(rows_ * width * inner());
  made.outputs = made.in_place = {Part(args.residual)};
  return made;
}

KernelCase Maker::ChannelMixInCase() {
  const int64_t width = shape_.width, units = shape_.ffn_width;
  ChannelMixInArgs args;
  args.x = Floats({rows_, width});
  args.norm_weight = Vector(width, {.mean = 1.0f, .spread = 0.1f});
  args.norm_bias = Vector(width, {.spread = 0.05f});
  args.mix = Vector(width, {.mean = 0.5f, .spread = 0.5f});
  args.sequences = sequences_;
  args.normed = FloatSpace(rows_, width);
  args.mixed = Space(width, types_.operand);
  args.h = Space(units, types_.operand);
  const double bytes = Bytes(width * units, weight_);
  std::vector<ChannelMixInArgs> all(Copies(bytes), args);
  for (ChannelMixInArgs& copy : all) {
    copy.key = memory_.Matrix(weight_, units, width);
    copy.shift = State(width, DType::kF32, kSqrt3);
  }
  const ChannelMixInArgs first = all[0];
  KernelCase made = Over(std::move(all), ChannelMixIn);
  made.bytes = bytes + Bytes(rows_ * width, DType::kF32) + Bytes(rows_ * units, types_.operand) +
               2 * Bytes(options_.rows.sequences * width, DType::kF32);
  made.flops = 2.0 * static_cast<double>(rows_ * width * units);
  made.outputs = {Part(first.h)};
  made.in_place = {Part(first.shift)};
  return made;
}

KernelCase Maker::ChannelMixOutCase() {
  const int64_t width = shape_.width, units = shape_.ffn_width;
  // Of uniform values above -1 the share `ffn_zeros` is below the threshold.
  const auto threshold = static_cast<float>(2 * shape_.ffn_zeros - 1);
  const auto relu_squared = [threshold](float value) {
    const float positive = std::max(value - threshold, 0.0f);
    return positive * positive;
  };
  ChannelMixOutArgs args;
  args.h = ActivationView(
      memory_.Random(types_.operand, weight_, {rows_, units}, {.spread = 1.0f}, relu_squared),
      types_.operand, {rows_, units});
  args.product = FloatSpace(rows_, width);
  args.residual = Floats({rows_, width});
  const double live = 1 - std::pow(shape_.ffn_zeros, static_cast<double>(rows_));
  const double bytes = live * Bytes(width * units, weight_);
  std::vector<ChannelMixOutArgs> all(Copies(bytes), args);
  // Where it computes decides how the matrix lies, as when a model is loaded.
  for (ChannelMixOutArgs& copy : all) {
    copy.value = memory_.Matrix(weight_, width, units, !stream_.on_cpu());
  }
  KernelCase made = Over(std::move(all), ChannelMixOut);
  made.bytes = bytes + Bytes(rows_ * units, types_.operand) + 2 * Bytes(rows_ * width, DType::kF32);
  made.flops = 2.0 * static_cast<double>(rows_ * width * units) * (1 - shape_.ffn_zeros);
  made.outputs = made.in_place = {Part(args.residual)};
  return made;
}

KernelCase Maker::HeadCase() {
  const int64_t width = shape_.width, vocab = shape_.vocab;
  std::vector<int32_t> wanted(rows_);
  std::iota(wanted.begin(), wanted.end(), 0);
  HeadArgs args;
  args.x = Floats({rows_, width});
  args.rows = {Ints(wanted), {rows_}};
  args.norm_weight = Vector(width, {.mean = 1.0f, .spread = 0.1f});
  if (!shape_.hybrid) args.norm_bias = Vector(width, {.spread = 0.05f});
  args.normed = Space(width, types_.operand);
  args.logits = FloatSpace(rows_, vocab);
  const double bytes = Bytes(width * vocab, weight_);
  std::vector<HeadArgs> all(Copies(bytes), args);
  for (HeadArgs& copy : all) copy.head = memory_.Matrix(weight_, vocab, width);
  KernelCase made = Over(std::move(all), Head);
  made.bytes = bytes + Bytes(rows_ * (width + vocab), DType::kF32);
  made.flops = 2.0 * static_cast<double>(rows_ * width * vocab);
  made.outputs = {Part(args.logits)};
  return made;
}

KernelCase Maker::SampleCase() {
  std::vector<SampleRow> samples(rows_);
  std::vector<int32_t> begin(rows_ + 1);
  for (int64_t i = 0; i < rows_; ++i)
    samples[i] = {.top_p = 0.8f, .seed = static_cast<uint64_t>(i)};
  SampleArgs args;
  args.rows = {static_cast<const SampleRow*>(
                   memory_.Copied(samples.data(), rows_ * static_cast<int64_t>(sizeof(SampleRow)))),
               {rows_}};
  args.penalty_begin = args.bias_begin = args.banned_begin = {Ints(begin), {rows_ + 1}};
  args.tokens = {static_cast<int32_t*>(memory_.Bytes(rows_ * 4)), {rows_}};
  args.outcomes = {static_cast<SampleOutcome*>(memory_.Bytes(rows_ * 4)), {rows_}};
  args.logprobs = {FloatSpace(rows_, 1).data(), {rows_}};
  args.top_tokens = {static_cast<int32_t*>(memory_.Bytes(rows_ * kMaxTopLogprobs * 4)),
                     {rows_, kMaxTopLogprobs}};
  args.top_logprobs = FloatSpace(rows_, kMaxTopLogprobs);
  const double bytes = Bytes(rows_ * shape_.vocab, DType::kF32);
  std::vector<SampleArgs> all(Copies(bytes), args);
  // Logits of deviation 2, as models give them.
  for (SampleArgs& copy : all) {
    const TensorView<float> logits = Floats({rows_, shape_.vocab}, {.spread = 2 * kSqrt3});
    copy.logits = logits;
  }
  KernelCase made = Over(std::move(all), Sample);
  made.bytes = bytes;
  made.outputs = {{args.tokens.data(), DType::kI32, rows_},
                  {args.outcomes.data(), DType::kI32, rows_}};
  return made;
}

KernelCase Maker::PagedAttentionCase() {
  const int64_t sequences = options_.rows.sequences, tokens = options_.rows.tokens;
  const int64_t pages = (options_.context + tokens + Engine::kPageTokens - 1) / Engine::kPageTokens;
  std::vector<int32_t> table(sequences * pages), positions(rows_);
  std::iota(table.begin(), table.end(), 0);
  for (int64_t i = 0; i < rows_; ++i) {
    positions[i] = static_cast<int32_t>(options_.context + i % tokens);
  }
  PagedAttentionArgs args;
  args.q = Activation(inner(), result());
  args.positions = {Ints(positions), {rows_}};
  args.sequences = sequences_;
  args.pages.dtype = stream_.on_cpu() ? DType::kF32 : weight_;
  args.pages.num_pages = sequences * pages;
  args.pages.page_tokens = Engine::kPageTokens;
  args.pages.kv_heads = shape_.kv_heads;
  args.pages.head_dim = shape_.head_dim;
  args.pages.table = {Ints(table), {sequences, pages}};
  args.y = Space(inner(), types_.operand);
  const int64_t elements = args.pages.num_pages * args.pages.page_elements();
  const double seen = static_cast<double>(sequences * (options_.context + tokens)) /
                      static_cast<double>(args.pages.num_pages * Engine::kPageTokens);
  const double bytes = 2 * seen * Bytes(elements, args.pages.dtype);
  std::vector<PagedAttentionArgs> all(Copies(bytes), args);
  for (PagedAttentionArgs& copy : all) {
    copy.pages.keys = memory_.Random(args.pages.dtype, weight_, {elements}, kNormal);
    copy.pages.values = memory_.Random(args.pages.dtype, weight_, {elements}, kNormal);
  }
  KernelCase made = Over(std::move(all), PagedAttention);
  made.bytes = bytes + Bytes(rows_ * inner(), result()) + Bytes(rows_ * inner(), types_.operand);
  made.flops = 4.0 * static_cast<double>(rows_ * inner()) *
               (static_cast<double>(options_.context) + 0.5 * static_cast<double>(tokens));
  made.outputs = {Part(args.y)};
  return made;
}

enum class For { kAll, kRwkv7, kHybrid };

struct Entry {
  const char* name;
  For shapes;
  KernelCase (Maker::*make)();
};

constexpr Entry kEntries[] = {
    {"time_mix_in", For::kRwkv7, &Maker::TimeMixInCase},
    {"time_mix_wkv", For::kRwkv7, &Maker::TimeMixWkvCase},
    {"project_add", For::kAll, &Maker::ProjectAddCase},
    {"channel_mix_in", For::kRwkv7, &Maker::ChannelMixInCase},
    {"channel_mix_out", For::kRwkv7, &Maker::ChannelMixOutCase},
    {"paged_attention", For::kHybrid, &Maker::PagedAttentionCase},
    {"head", For::kAll, &Maker::HeadCase},
    {"sample", For::kAll, &Maker::SampleCase},
};

}  // namespace

std::vector<std::string> KernelNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.name);
  return names;
}

absl::StatusOr<KernelCase> MakeKernelCase(const std::string& name, const KernelOptions& options,
                                          Device& device, OpMemory& memory) {
  for (const Entry& entry : kEntries) {
    if (name != entry.name) continue;
    const For wanted = options.engine.shape.hybrid ? For::kHybrid : For::kRwkv7;
    if (entry.shapes != For::kAll && entry.shapes != wanted) {
      return absl::InvalidArgumentError(absl::StrCat(
          "models of the shape ", options.engine.shape.name, " do not have the operation ", name));
    }
    KernelCase made = (Maker(options, device, memory).*entry.make)();
    RETURN_IF_ERROR(memory.status());
    return made;
  }
  return absl::InvalidArgumentError(absl::StrCat("no operation \"", name, "\", expected one of ",
                                                 absl::StrJoin(KernelNames(), ", ")));
}

}  // namespace skein::bench
