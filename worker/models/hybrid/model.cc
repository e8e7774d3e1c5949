#include "worker/models/hybrid/model.h"

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
#include "kernels/rope_table/rope_table.h"
#include "worker/layers/attention.h"
#include "worker/layers/buffers.h"
#include "worker/layers/gated_mlp.h"
#include "worker/layers/hybrid_mix.h"
#include "worker/layers/step.h"
#include "worker/layers/step_adapters.h"
#include "worker/layers/step_factors.h"
#include "worker/layers/weight_passes.h"
#include "worker/models/batch_check.h"
#include "worker/models/describe.h"
#include "worker/models/hybrid/adapters.h"
#include "worker/models/hybrid/spec.h"
#include "worker/models/hybrid/weights.h"

namespace skein::hybrid {
namespace {

// Where a layer's memory is: a field of the state record, or a layer of the KV pages.
struct LayerMemory {
  StatePart wkv;
  int64_t attention_index = 0;
};

struct Activations {
  Buffer residual, head_norm, cosines, sines;
  HybridMixBuffers mix;
  AttentionBuffers attention;
  GatedMlpBuffers mlp;
};

class HybridModel : public Model {
 public:
  static absl::StatusOr<std::unique_ptr<Model>> Create(const ModelFiles& files,
                                                       const ModelLoadOptions& options,
                                                       const Stream& stream) {
    if (options.state_dtype != DType::kF32) {
      // Scaled keys exceed 1 in these models, and their states grow beyond what fp16 holds.
      return absl::InvalidArgumentError("state_dtype: expected fp32 for this architecture");
    }
    ASSIGN_OR_RETURN(Spec spec, ReadSpec(files, options));
    std::unique_ptr<HybridModel> model(new HybridModel(std::move(spec), options));
    RETURN_IF_ERROR(model->LoadWeights(files, options, stream));
    return model;
  }

  const ModelDescription& description() const override { return description_; }
  const StateLayout& state_layout() const override { return state_layout_; }
  const KvLayout& kv_layout() const override { return kv_layout_; }

  absl::StatusOr<std::shared_ptr<const BoundAdapter>> Bind(std::shared_ptr<const Adapter> adapter,
                                                           const Stream& stream) const override {
    if (!stream.on_cpu()) return absl::UnimplementedError("adapters run on the CPU backend alone");
    return hybrid::Bind(std::move(adapter), spec_, weights_, stream);
  }

  absl::Status Forward(const ModelBatch& batch, const Stream& stream) override {
    RETURN_IF_ERROR(CheckBatch(batch,
                               {.max_rows = max_rows_,
                                .vocab_size = spec_.vocab_size,
                                .needs_pages = kv_layout_.num_layers > 0,
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
  HybridModel(Spec spec, const ModelLoadOptions& options)
      : spec_(std::move(spec)), max_rows_(options.max_rows) {
    for (int i = 0; i < spec_.num_layers(); ++i) {
      LayerMemory memory;
      if (spec_.layers[i].attention) {
        memory.attention_index = kv_layout_.num_layers++;
      } else {
        memory.wkv =
            AddStateField(state_layout_, "wkv", i, {spec_.heads, spec_.head_dim, spec_.head_dim});
      }
      memory_.push_back(memory);
    }
    kv_layout_.num_kv_heads = static_cast<int>(spec_.kv_heads);
    kv_layout_.head_dim = static_cast<int>(spec_.head_dim);
  }

  absl::Status RunPass(const Weights& weights, const ModelBatch& batch, const Stream& stream) {
    Step step = MakeStep(batch, state_layout_, types_, stream);
    if (!batch.adapters.empty()) {
      adapters_.Begin(batch);
      step.adapters = &adapters_;
    }
    const float eps = spec_.rms_norm_eps;
    const auto x = activations_.residual.Floats(batch.num_rows(), spec_.width);
    const RopeAngles angles = {activations_.cosines.Floats(batch.num_rows(), spec_.head_dim / 2),
                               activations_.sines.Floats(batch.num_rows(), spec_.head_dim / 2)};
    RETURN_IF_ERROR(ComputeAngles(batch, stream));
    RETURN_IF_ERROR(Embedding({batch.tokens, weights.embedding, {}, {}, eps, x}, stream));
    for (size_t i = 0; i < weights.layers.size(); ++i) {
      const LayerWeights& layer = weights.layers[i];
      adapters_.EnterLayer(static_cast<int64_t>(i));
      step.wkv_factors = factors_.At(batch, static_cast<int64_t>(i));
      if (spec_.layers[i].attention) {
        RETURN_IF_ERROR(Attention(layer.attention, Pages(batch, memory_[i].attention_index), step,
                                  activations_.attention, x));
      } else {
        RETURN_IF_ERROR(HybridMix(layer.mix, memory_[i].wkv, angles, step, activations_.mix, x));
      }
      RETURN_IF_ERROR(GatedMlp(layer.mlp, step, activations_.mlp, x));
    }
    const int64_t outputs = batch.logit_rows.dim(0);
    if (outputs == 0) return absl::OkStatus();
    return Head({x,
                 batch.logit_rows,
                 weights.last_norm,
                 {},
                 eps,
                 weights.head,
                 activations_.head_norm.View(outputs, spec_.width, types_.operand),
                 batch.logits,
                 step.adapters != nullptr ? adapters_.AtHead() : ProductAdapters()},
                stream);
  }

  absl::Status LoadWeights(const ModelFiles& files, const ModelLoadOptions& options,
                           const Stream& stream) {
    WeightLoader loader(files, stream, options.weights);
    Declare(spec_, loader, weights_);
    ASSIGN_OR_RETURN(const int64_t bytes, loader.PlanBytes());
    if (!stream.on_cpu()) UseTypes(weights_.layers[0].mlp.gate.dtype);
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
    RETURN_IF_ERROR(CheckPairs(spec_, weights_));
    if (weights_.head.empty()) weights_.head = weights_.embedding;
    description_ = Describe("hybrid", loader, weights_.layers[0].mlp.gate,
                            absl::StrCat(spec_.rms_norm_eps, " ", spec_.rope_theta));
    description_.vocab_size = spec_.vocab_size;
    description_.num_layers = spec_.num_layers();
    description_.weight_bytes = bytes;
    return absl::OkStatus();
  }

  void UseTypes(DType operand) {
    types_.operand = operand;
    kv_layout_.dtype = operand;
  }

  BufferPlan PlanActivations(bool on_cpu) {
    BufferPlan plan(max_rows_, types_);
    plan.AddFloats(spec_.width, &activations_.residual);
    plan.AddOperand(spec_.width, &activations_.head_norm);
    plan.AddFloats(spec_.head_dim / 2, &activations_.cosines);
    plan.AddFloats(spec_.head_dim / 2, &activations_.sines);
    activations_.mix.Plan({spec_.width, spec_.r_width(), spec_.kv_width(), spec_.max_rank()}, plan);
    activations_.attention.Plan(spec_.width, spec_.r_width(), spec_.kv_width(), plan);
    activations_.mlp.Plan(spec_.width, spec_.ffn_width, plan);
    if (on_cpu) {
      adapters_.Plan({.num_layers = spec_.num_layers(),
                      .width = spec_.width,
                      .widest_input = std::max({spec_.width, spec_.r_width(), spec_.ffn_width})},
                     plan);
    }
    return plan;
  }

  absl::Status ComputeAngles(const ModelBatch& batch, const Stream& stream) const {
    const int64_t half = spec_.head_dim / 2;
    return RopeTable(
        {batch.positions, spec_.rope_theta, activations_.cosines.Floats(batch.num_rows(), half),
         activations_.sines.Floats(batch.num_rows(), half)},
        stream);
  }

  KvPages Pages(const ModelBatch& batch, int64_t attention_index) const {
    const int64_t plane =
        batch.kv.num_pages * spec_.kv_heads * batch.kv.page_tokens * spec_.head_dim;
    const int64_t plane_bytes = plane * DTypeBytes(kv_layout_.dtype);
    std::byte* keys = static_cast<std::byte*>(batch.kv.base) + 2 * attention_index * plane_bytes;
    KvPages pages;
    pages.keys = keys;
    pages.values = keys + plane_bytes;
    pages.dtype = kv_layout_.dtype;
    pages.num_pages = batch.kv.num_pages;
    pages.page_tokens = batch.kv.page_tokens;
    pages.kv_heads = spec_.kv_heads;
    pages.head_dim = spec_.head_dim;
    pages.table = batch.pages;
    return pages;
  }

  const Spec spec_;
  const int64_t max_rows_;
  StepTypes types_;
  ModelDescription description_;
  StateLayout state_layout_;
  KvLayout kv_layout_;
  std::vector<LayerMemory> memory_;
  std::unique_ptr<Arena> weight_arena_, activation_arena_;
  Weights weights_;
  Activations activations_;
  StepAdapters adapters_;
  StepFactors factors_;
  WeightPasses passes_;
};

}  // namespace

bool Matches(const ModelFiles& files) { return IsHxa079(files); }

absl::StatusOr<std::unique_ptr<Model>> Load(const ModelFiles& files,
                                            const ModelLoadOptions& options, const Stream& stream) {
  return HybridModel::Create(files, options, stream);
}

}  // namespace skein::hybrid
