// What an adapter does to one linear layer, in the form in which it is applied beside the weight.
// docs/adapters.md.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "common/tensor/tensor_view.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// How y = W x changes; r is the rank or the block size.
enum class AdapterForm : uint8_t {
  kNone,
  kLowRank,       // y = W x + s B (A x)
  kInputScaled,   // z = x * c;  y = W z + s B (A z)
  kOutputScaled,  // y = rho * (W x + s B (A x))
  kInputBlocks,   // x_b the b-th r inputs, u_b = T_b x_b;  y = W (x + u) + tile(sum_b u_b)
  kInputSums,     // g_j = sum of x_i with i mod r = j;  y = W x + tile(D^T g)
  kOutputBlocks,  // W_ab + W_ab T_a + T_a: another input per group of outputs, so only by merging
};
absl::string_view AdapterFormName(AdapterForm form);  // "low rank", "input blocks", ...

// Owns nothing: whoever holds the adapter's memory does.
struct AdapterModule {
  AdapterForm form = AdapterForm::kNone;
  int64_t outputs = 0;  // M
  int64_t inputs = 0;   // K
  int64_t rank = 0;     // r
  float scale = 1.0f;   // s
  WeightMatrix down;    // A [r, K], of the three low-rank forms
  WeightMatrix up;      // B [M, r]; of kInputSums D^T [m, r] with m | M
  WeightMatrix blocks;  // T, one below the other: [K, r] of kInputBlocks, [M, r] of kOutputBlocks
  TensorView<const float> input_scale;   // c [K], of kInputScaled
  TensorView<const float> output_scale;  // rho [M], of kOutputScaled

  // Whether the product reads another input than x.
  bool changes_input() const {
    return form == AdapterForm::kInputScaled || form == AdapterForm::kInputBlocks;
  }
  // Whether all it does is to add something to the product.
  bool adds_only() const {
    return unmerged() && !changes_input() && form != AdapterForm::kOutputScaled;
  }
  // Whether rows with this module can share the product with the unchanged weight.
  bool unmerged() const { return form != AdapterForm::kOutputBlocks; }
  bool low_rank() const {
    return form == AdapterForm::kLowRank || form == AdapterForm::kInputScaled ||
           form == AdapterForm::kOutputScaled;
  }

  // InvalidArgument unless the parts of its form are there and fit.
  absl::Status Validate() const;
};

// A mixture of LoRA experts in place of an RWKV-7 channel mix. For each token the router scores
// E - 1 experts, and expert 0 always has the score 0.
struct MoleExperts {
  struct Expert {
    AdapterModule key, value;  // kLowRank
  };

  WeightMatrix router;  // [E - 1, D], fp32
  std::span<const Expert> experts;
  int64_t active = 0;  // experts per token
  // 2: the best `active` scores of all, with their softmax as weights. 1, the first trainings':
  // expert 0 with weight 1 beside the softmax of the best `active` - 1 scores of the router, whose
  // row j stands for expert j, and row 0 for none.
  int rule = 2;

  int64_t width() const { return router.cols; }                 // D
  int64_t ffn_width() const { return experts[0].key.outputs; }  // F

  absl::Status Validate() const;
};

}  // namespace skein
