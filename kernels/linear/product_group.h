// Products that run as one piece of work, by their shapes alone: what a choice among kernels
// depends on.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/tensor/dtype.h"
#include "kernels/cpu/rows.h"

namespace skein {

// y = activation(x W^T + bias), or y += x W^T + bias.
struct ProductShape {
  int64_t inputs = 0;
  int64_t outputs = 0;
  DType result = DType::kF32;  // of y: fp32, or the type of the operands
  Activation activation = Activation::kNone;
  bool bias = false;
  bool accumulate = false;  // only into fp32, without activation

  bool operator==(const ProductShape&) const = default;
};

// Up to kMax products with as many rows each. Small and without pointers, so that it can
// be a key.
struct ProductGroup {
  static constexpr int kMax = 8;

  int64_t rows = 0;
  DType operand = DType::kF16;  // of x and the weights: fp16 or bf16
  bool transposed = false;      // the weights lie as [inputs, outputs]
  int count = 0;
  std::array<ProductShape, kMax> products = {};

  std::span<const ProductShape> shapes() const { return {products.data(), size_t(count)}; }
  int64_t weights() const;  // of all together
  int64_t outputs() const;
  // One of them, as a group of its own.
  ProductGroup Single(int index) const;

  bool operator==(const ProductGroup&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const ProductGroup& g) {
    h = H::combine(std::move(h), g.rows, g.operand, g.transposed, g.count);
    for (const ProductShape& p : g.shapes()) {
      h = H::combine(std::move(h), p.inputs, p.outputs, p.result, p.activation, p.bias,
                     p.accumulate);
    }
    return h;
  }
};

// Some products of a group, as a group, with their places in it.
struct GroupPart {
  ProductGroup group;
  std::array<int, ProductGroup::kMax> places = {};
};

// Whether the product has at most an eighth as many outputs as the group's widest.
bool IsNarrow(const ProductGroup& group, const ProductShape& shape);

// The parts to run one by one what does not run as a whole: wide products alone, narrow ones
// together.
std::vector<GroupPart> PartsOf(const ProductGroup& group);

// Device memory of one product of a group. 16-byte aligned.
struct ProductOperands {
  const void* weight = nullptr;  // [outputs, inputs], or [inputs, outputs]
  const void* x = nullptr;       // [rows, inputs]
  const float* bias = nullptr;   // [outputs]
  void* y = nullptr;             // [rows, outputs]
};

// True for what tensor cores take in vectors of 16 bytes: fp16 or bf16 operands, inputs and outputs
// multiples of 8, accumulated only into fp32 and as they are.
bool WholeVectors(const ProductGroup& group);

// The name of `group` in a file: "128 F16 4096x4096:F32+ 4096x16384:F16,relu2 ...".
std::string GroupName(const ProductGroup& group);

// Numbers of rows that share a choice, by their largest: 64, then multiples of 128, beyond 1024 of
// 256.
int64_t RowBucket(int64_t rows);

}  // namespace skein
