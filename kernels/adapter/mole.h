// RWKV-7 channel mixing by a mixture of LoRA experts: what comes between the key product and the
// value product. docs/adapters.md.
#pragma once

#include <optional>
#include <span>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/adapter_module.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/parallel_for.h"
#include "kernels/device/stream.h"

namespace skein {

// Rows [begin, begin + count) and the experts of their adapter.
struct MoleSegment {
  const MoleExperts* experts = nullptr;
  int64_t begin = 0;
  int64_t count = 0;
  std::optional<float> scale = std::nullopt;  // in place of the experts' own

  int64_t end() const { return begin + count; }
};

// Per row of a segment, with the experts e that the router chooses and their weights g_e:
//   k_e   = max(base + s B_e (A_e x), 0)^2
//   mixed = sum_e g_e k_e
//   side  = s sum_e g_e B'_e (A'_e k_e)
// so that Wvalue mixed + side is the mixture's output: the model's two products serve all rows,
// however many experts they have. Rows without a segment get mixed = max(base, 0)^2 and side = 0.
// Equal scores: the expert with the lower index. Scores and sums are fp32; a row's bits depend on
// the row and its experts alone.
struct MoleArgs {
  std::span<const MoleSegment> segments;
  ConstActivationView x;        // [rows, D], what the key product read
  ConstActivationView base;     // [rows, F], Wkey x before its activation
  ActivationView mixed;         // [rows, F], apart from base
  TensorView<float> side;       // [rows, D]
  TensorView<float> workspace;  // [rows, MoleWorkspace or more]

  // InvalidArgument if a shape or a segment does not fit.
  absl::Status Validate() const;
};

// Columns of workspace that the segments need.
int64_t MoleWorkspace(std::span<const MoleSegment> segments);

// Plain loops in double precision.
void MoleRef(const MoleArgs& args);
void MoleCpu(const MoleArgs& args, ParallelFor& threads);

// Unimplemented on CUDA.
absl::Status Mole(const MoleArgs& args, const Stream& stream);

}  // namespace skein
