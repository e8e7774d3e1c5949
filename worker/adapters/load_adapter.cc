#include "worker/adapters/load_adapter.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "worker/adapters/adapter_files.h"
#include "worker/adapters/magnitudes.h"
#include "worker/adapters/tensor_packer.h"
#include "worker/weights/content_hash.h"

namespace skein {
namespace {

// One type for values of two tensors.
DType CommonType(const TensorEntry& a, const TensorEntry& b) {
  return a.dtype == b.dtype ? PackedType(a.dtype) : DType::kF32;
}

// [A; A0]
TensorPacker::Values StackedDown(const LinearPlan& plan) {
  return [a = *plan.a, a0 = *plan.init_a](std::vector<float>& out) {
    std::vector<float> below;
    RETURN_IF_ERROR(ReadFloats(a, out));
    RETURN_IF_ERROR(ReadFloats(a0, below));
    out.insert(out.end(), below.begin(), below.end());
    return absl::OkStatus();
  };
}

// [B, -B0]
TensorPacker::Values StackedUp(const LinearPlan& plan) {
  return [b = *plan.b, b0 = *plan.init_b](std::vector<float>& out) {
    std::vector<float> left, right;
    RETURN_IF_ERROR(ReadFloats(b, left));
    RETURN_IF_ERROR(ReadFloats(b0, right));
    const int64_t r = b.shape[1], r0 = b0.shape[1];
    out.clear();
    out.reserve(left.size() + right.size());
    for (int64_t m = 0; m < b.shape[0]; ++m) {
      out.insert(out.end(), left.begin() + m * r, left.begin() + (m + 1) * r);
      for (int64_t j = 0; j < r0; ++j) out.push_back(-right[m * r0 + j]);
    }
    return absl::OkStatus();
  };
}

void DeclareLowRank(const LinearPlan& plan, TensorPacker& packer, AdapterModule& module) {
  if (plan.method == AdapterMethod::kPissa) {
    packer.Matrix(plan.module + ".down", CommonType(*plan.a, *plan.init_a), plan.rank, plan.inputs,
                  StackedDown(plan), &module.down);
    packer.Matrix(plan.module + ".up", CommonType(*plan.b, *plan.init_b), plan.outputs, plan.rank,
                  StackedUp(plan), &module.up);
    return;
  }
  packer.Matrix(plan.module + ".down", *plan.a, &module.down);
  packer.Matrix(plan.module + ".up", *plan.b, &module.up);
}

void DeclareModule(const LinearPlan& plan, TensorPacker& packer, AdapterModule& module) {
  module.form = plan.form;
  module.outputs = plan.outputs;
  module.inputs = plan.inputs;
  module.rank = plan.rank;
  module.scale = plan.scale;
  switch (plan.form) {
    case AdapterForm::kNone:
      return;
    case AdapterForm::kLowRank:
      return DeclareLowRank(plan, packer, module);
    case AdapterForm::kInputScaled:
      packer.Space(plan.inputs, &module.input_scale);
      return DeclareLowRank(plan, packer, module);
    case AdapterForm::kOutputScaled:
      packer.Space(plan.outputs, &module.output_scale);
      return DeclareLowRank(plan, packer, module);
    case AdapterForm::kInputSums:
      return packer.Matrix(plan.module + ".sums", Transposed(*plan.block), &module.up);
    case AdapterForm::kInputBlocks:
      return packer.Matrix(plan.module + ".blocks", *plan.block, plan.inputs, plan.rank,
                           &module.blocks);
    case AdapterForm::kOutputBlocks:
      return packer.Matrix(plan.module + ".output_blocks", *plan.block, plan.outputs, plan.rank,
                           &module.blocks);
  }
}

// What the tensors' values do not tell, but results depend on.
uint64_t HashModule(const LinearPlan& plan, uint64_t hash) {
  hash = ContentHash(absl::StrCat(plan.module, " ", static_cast<int>(plan.form)), hash);
  return ContentHash(&plan.scale, sizeof plan.scale, hash);
}

class Builder {
 public:
  Builder(const AdapterPlan& plan, const AdapterOptions& options)
      : plan_(plan), options_(options) {}

  absl::StatusOr<Adapter> Run(const BaseTensors& base, ParallelFor& threads) {
    adapter_.warnings = plan_.warnings;
    DeclareLinears();
    DeclareChannelMixes();
    DeclareReplaced();
    ASSIGN_OR_RETURN(adapter_.memory, packer_.Pack(&hash_));
    RETURN_IF_ERROR(PackState());
    RETURN_IF_ERROR(ComputeMagnitudes(base, threads));
    adapter_.content_hash = absl::StrFormat("%016x", hash_);
    return std::move(adapter_);
  }

 private:
  void DeclareLinears() {
    adapter_.linears.resize(plan_.linears.size());
    for (size_t i = 0; i < plan_.linears.size(); ++i) {
      const LinearPlan& plan = plan_.linears[i];
      adapter_.linears[i].module = plan.module;
      adapter_.linears[i].method = plan.method;
      hash_ = HashModule(plan, hash_);
      DeclareModule(plan, packer_, adapter_.linears[i].hooks);
    }
  }

  void DeclareChannelMixes() {
    adapter_.channel_mixes.resize(plan_.channel_mixes.size());
    for (size_t i = 0; i < plan_.channel_mixes.size(); ++i) {
      const MolePlan& plan = plan_.channel_mixes[i];
      AdaptedChannelMix& mix = adapter_.channel_mixes[i];
      mix.module = plan.module;
      mix.experts.resize(plan.keys.size());
      for (size_t e = 0; e < plan.keys.size(); ++e) {
        hash_ = HashModule(plan.values[e], HashModule(plan.keys[e], hash_));
        DeclareModule(plan.keys[e], packer_, mix.experts[e].key);
        DeclareModule(plan.values[e], packer_, mix.experts[e].value);
      }
      mix.mole.experts = mix.experts;
      mix.mole.active = plan.active;
      mix.mole.rule = options_.mole_rule;
      hash_ = ContentHash(absl::StrCat(plan.active, " by rule ", options_.mole_rule), hash_);
      const TensorEntry router = plan.router;
      packer_.Matrix(
          plan.module + ".router", DType::kF32, router.shape[0], router.shape[1],
          [router](std::vector<float>& out) { return ReadFloats(router, out); }, &mix.mole.router);
    }
  }

  void DeclareReplaced() {
    adapter_.replaced.resize(plan_.replaced.size());
    for (size_t i = 0; i < plan_.replaced.size(); ++i) {
      const AdapterPlan::Replacement& plan = plan_.replaced[i];
      ReplacedTensor& tensor = adapter_.replaced[i];
      tensor.name = plan.name;
      tensor.shape = plan.shape;
      packer_.Tensor(plan.name, plan.entry, &tensor.dtype, &tensor.data);
    }
  }

  absl::Status PackState() {
    if (plan_.state.empty()) return absl::OkStatus();
    TensorPacker packer;
    std::vector<const void*> data(plan_.state.size());
    adapter_.state = plan_.state;
    for (size_t i = 0; i < plan_.state.size(); ++i) {
      packer.Tensor(plan_.state[i].name, plan_.state[i].entry, &adapter_.state[i].entry.dtype,
                    &data[i]);
    }
    ASSIGN_OR_RETURN(adapter_.state_memory, packer.Pack(&hash_));
    for (size_t i = 0; i < plan_.state.size(); ++i) {
      TensorEntry& entry = adapter_.state[i].entry;
      entry.data = static_cast<const std::byte*>(data[i]);
      entry.strides = RowMajorStrides(entry.shape);
      entry.contiguous = true;
    }
    return absl::OkStatus();
  }

  absl::Status ComputeMagnitudes(const BaseTensors& base, ParallelFor& threads) {
    for (size_t i = 0; i < plan_.linears.size(); ++i) {
      const LinearPlan& plan = plan_.linears[i];
      if (!plan.magnitude.has_value()) continue;
      std::vector<float> magnitude;
      RETURN_IF_ERROR(ReadFloats(*plan.magnitude, magnitude));
      hash_ = ContentHash(magnitude.data(), magnitude.size() * sizeof(float), hash_);
      RETURN_IF_ERROR(ScaleByNorms(adapter_, adapter_.linears[i], magnitude, base, threads));
    }
    return absl::OkStatus();
  }

  const AdapterPlan& plan_;
  const AdapterOptions& options_;
  TensorPacker packer_;
  Adapter adapter_;
  uint64_t hash_ = 0;
};

absl::StatusOr<Adapter> Labelled(absl::string_view label, absl::StatusOr<Adapter> adapter) {
  if (adapter.ok()) return adapter;
  return absl::Status(adapter.status().code(),
                      absl::StrCat(label, ": ", std::string(adapter.status().message())));
}

}  // namespace

absl::StatusOr<Adapter> MakeAdapter(std::span<const NamedTensor> tensors,
                                    const std::optional<PeftConfig>& peft,
                                    const AdapterOptions& options, const BaseTensors& base,
                                    ParallelFor& threads) {
  ASSIGN_OR_RETURN(const AdapterPlan plan, PlanAdapter(tensors, peft, options, base));
  return Builder(plan, options).Run(base, threads);
}

absl::StatusOr<Adapter> LoadAdapter(const std::string& path, const AdapterOptions& options,
                                    const BaseTensors& base, ParallelFor& threads) {
  ASSIGN_OR_RETURN(const AdapterFiles files, OpenAdapterFiles(path));
  return Labelled(files.label, MakeAdapter(files.tensors, files.peft, options, base, threads));
}

}  // namespace skein
