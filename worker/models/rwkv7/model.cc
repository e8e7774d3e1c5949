#include "worker/models/rwkv7/model.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/device/arena.h"
#include "kernels/device/memory.h"
#include "kernels/embedding/embedding.h"
#include "kernels/head/head.h"
#include "worker/layers/buffers.h"
#include "worker/layers/channel_mix_v7.h"
#include "worker/layers/step.h"
#include "worker/layers/step_adapters.h"
#include "worker/layers/step_factors.h"
#include "worker/layers/time_mix_v7.h"
#include "worker/layers/weight_passes.h"
#include "worker/models/batch_check.h"
#include "worker/models/describe.h"
#include "worker/models/rwkv7/adapters.h"
#include "worker/models/rwkv7/spec.h"
#include "worker/models/rwkv7/weights.h"

namespace skein::rwkv7 {
namespace {

// Offsets in the state record.
struct LayerState {
  TimeMixV7State time_mix;
  StatePart channel_shift;
};

struct Activations {
  Buffer residual, head_norm;
  TimeMixV7Buffers time_mix;
  ChannelMixV7Buffers channel_mix;
};

class Rwkv7Model : public Model {
 public:
  static absl::StatusOr<std::unique_ptr<Model>> Create(const ModelFiles& files,
                                                       const ModelLoadOptions& options,
                                                       const Stream& stream) {
    ASSIGN_OR_RETURN(Spec spec, ReadSpec(files));
    std::unique_ptr<Rwkv7Model> model(new Rwkv7Model(std::move(spec), options, stream));
    RETURN_IF_ERROR(model->LoadWeights(files, options, stream));
    return model;
  }

  const ModelDescription& description() const override { return description_; }
  const StateLayout& state_layout() const override { return state_layout_; }
  const KvLayout& kv_layout() const override { return kv_layout_; }

  absl::StatusOr<std::shared_ptr<const BoundAdapter>> Bind(std::shared_ptr<const Adapter> adapter,
                                                           const Stream& stream) const override {
    if (!stream.on_cpu()) return absl::UnimplementedError("adapters run on the CPU backend alone");
    return rwkv7::Bind(std::move(adapter), spec_, weights_, stream);
  }

  absl::Status Forward(const ModelBatch& batch, const Stream& stream) override {
    RETURN_IF_ERROR(CheckBatch(batch,
                               {.max_rows = max_rows_,
                                .vocab_size = spec_.vocab_size,
                                .adapter_places = HeadPlaceIndex(spec_.num_layers()) + 1},
                               stream));
    for (const WeightPass& pass : passes_.Cut(batch)) {
      const auto* const replacing = static_cast<const ModelAdapter*>(pass.replacing);
      RETURN_IF_ERROR(
          RunPass(replacing != nullptr ? replacing->weights : weights_, pass.batch, stream));
    }
    return absl::OkStatus();
  }

 private:
  Rwkv7Model(Spec spec, const ModelLoadOptions& options, const Stream& stream)
      : spec_(std::move(spec)), max_rows_(options.max_rows) {
    const DType wkv = stream.on_cpu() ? DType::kF32 : options.state_dtype;
    for (int i = 0; i < spec_.num_layers(); ++i) {
      LayerState state;
      state.time_mix.shift = AddStateField(state_layout_, "shift_att", i, {spec_.width});
      state.time_mix.wkv = AddStateField(state_layout_, "wkv", i,
                                         {spec_.heads, spec_.head_size, spec_.head_size}, wkv);
      state.channel_shift = AddStateField(state_layout_, "shift_ffn", i, {spec_.width});
      layer_states_.push_back(state);
    }
  }

  absl::Status RunPass(const Weights& weights, const ModelBatch& batch, const Stream& stream) {
    Step step = MakeStep(batch, state_layout_, types_, stream);
    if (!batch.adapters.empty()) {
      adapters_.Begin(batch);
      step.adapters = &adapters_;
    }
    const auto x = activations_.residual.Floats(batch.num_rows(), spec_.width);
    RETURN_IF_ERROR(Embedding({batch.tokens, weights.embedding, weights.first_norm_weight,
                               weights.first_norm_bias, spec_.norm_eps, x},
                              stream));
    for (size_t i = 0; i < weights.layers.size(); ++i) {
      const LayerWeights& layer = weights.layers[i];
      adapters_.EnterLayer(static_cast<int64_t>(i));
      step.wkv_factors = factors_.At(batch, static_cast<int64_t>(i));
      RETURN_IF_ERROR(
          TimeMixV7(layer.time_mix, layer_states_[i].time_mix, step, activations_.time_mix, x));
      RETURN_IF_ERROR(ChannelMixV7(layer.channel_mix, layer_states_[i].channel_shift, step,
                                   activations_.channel_mix, x));
    }
    const int64_t outputs = batch.logit_rows.dim(0);
    if (outputs == 0) return absl::OkStatus();
    return Head(
        {x, batch.logit_rows, weights.last_norm_weight, weights.last_norm_bias, spec_.norm_eps,
         weights.head, activations_.head_norm.View(outputs, spec_.width, types_.operand),
         batch.logits, step.adapters != nullptr ? adapters_.AtHead() : ProductAdapters()},
        stream);
  }

  absl::Status LoadWeights(const ModelFiles& files, const ModelLoadOptions& options,
                           const Stream& stream) {
    WeightLoader loader(files, stream, options.weights);
    // The sparse product of small steps walks the hidden units one by one.
    Declare(spec_, {.value_input_major = !stream.on_cpu()}, loader, weights_);
    ASSIGN_OR_RETURN(const int64_t bytes, loader.PlanBytes());
    if (!stream.on_cpu()) UseTypes(weights_.layers[0].channel_mix.key.dtype);
    BufferPlan activations = PlanActivations(stream.on_cpu());
    if (options.admit) {
      RETURN_IF_ERROR(options.admit({.weight_bytes = bytes,
                                     .activation_bytes = activations.bytes(),
                                     .state_bytes = state_layout_.bytes,
                                     .kv_bytes_per_token = kv_layout_.bytes_per_token(),
                                     .vocab_size = spec_.vocab_size}));
    }
    ASSIGN_OR_RETURN(weight_arena_, CreateArena(stream, bytes));
    ASSIGN_OR_RETURN(activation_arena_, CreateArena(stream, activations.bytes()));
    RETURN_IF_ERROR(activations.Allocate(*activation_arena_));
    RETURN_IF_ERROR(loader.Load(*weight_arena_, options.progress));
    if (weights_.head.empty()) weights_.head = weights_.embedding;
    description_ = Describe("rwkv7", loader, weights_.layers[0].channel_mix.key,
                            absl::StrCat(spec_.norm_eps, " ", spec_.group_norm_eps));
    description_.vocab_size = spec_.vocab_size;
    description_.num_layers = spec_.num_layers();
    description_.weight_bytes = bytes;
    return absl::OkStatus();
  }

  void UseTypes(DType operand) { types_.operand = operand; }

  BufferPlan PlanActivations(bool on_cpu) {
    BufferPlan plan(max_rows_, types_);
    plan.AddFloats(spec_.width, &activations_.residual);
    plan.AddOperand(spec_.width, &activations_.head_norm);
    activations_.time_mix.Plan({spec_.width, spec_.att_width(), spec_.max_rank()}, plan);
    activations_.channel_mix.Plan(spec_.width, spec_.ffn_width, plan);
    if (on_cpu) {
      adapters_.Plan({.num_layers = spec_.num_layers(),
                      .width = spec_.width,
                      .widest_input = std::max({spec_.width, spec_.att_width(), spec_.ffn_width}),
                      .experts_width = spec_.ffn_width},
                     plan);
    }
    return plan;
  }

  const Spec spec_;
  const int64_t max_rows_;
  StepTypes types_;
  ModelDescription description_;
  StateLayout state_layout_;
  KvLayout kv_layout_;
  std::vector<LayerState> layer_states_;
  std::unique_ptr<Arena> weight_arena_, activation_arena_;
  Weights weights_;
  Activations activations_;
  StepAdapters adapters_;
  StepFactors factors_;
  WeightPasses passes_;
};

}  // namespace

bool Matches(const ModelFiles& files) { return IsX070(files); }

absl::StatusOr<std::unique_ptr<Model>> Load(const ModelFiles& files,
                                            const ModelLoadOptions& options, const Stream& stream) {
  return Rwkv7Model::Create(files, options, stream);
}

}  // namespace skein::rwkv7
