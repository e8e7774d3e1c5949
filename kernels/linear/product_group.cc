#include "kernels/linear/product_group.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace skein {
namespace {

constexpr int64_t kNarrow = 8;
constexpr int64_t kFew = 64, kMany = 1024;
constexpr int64_t kStep = 128, kLargeStep = 256;  // 128: rows of a tile

absl::string_view ActivationName(Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return "";
    case Activation::kTanh:
      return ",tanh";
    case Activation::kSigmoid:
      return ",sigmoid";
    case Activation::kReluSquared:
      return ",relu2";
    case Activation::kDecay:
      return ",decay";
  }
  return "";
}

}  // namespace

int64_t ProductGroup::outputs() const {
  int64_t sum = 0;
  for (const ProductShape& shape : shapes()) sum += shape.outputs;
  return sum;
}

int64_t ProductGroup::weights() const {
  int64_t sum = 0;
  for (const ProductShape& shape : shapes()) sum += shape.inputs * shape.outputs;
  return sum;
}

ProductGroup ProductGroup::Single(int index) const {
  ProductGroup one = *this;
  one.products = {products[index]};
  one.count = 1;
  return one;
}

bool IsNarrow(const ProductGroup& group, const ProductShape& shape) {
  int64_t widest = 0;
  for (const ProductShape& other : group.shapes()) widest = std::max(widest, other.outputs);
  return shape.outputs * kNarrow <= widest;
}

std::vector<GroupPart> PartsOf(const ProductGroup& group) {
  std::vector<GroupPart> parts;
  GroupPart narrow = {group, {}};
  narrow.group.products = {};
  narrow.group.count = 0;
  for (int i = 0; i < group.count; ++i) {
    if (IsNarrow(group, group.products[i])) {
      narrow.places[narrow.group.count] = i;
      narrow.group.products[narrow.group.count++] = group.products[i];
    } else {
      parts.push_back({group.Single(i), {i}});
    }
  }
  if (narrow.group.count > 0) parts.push_back(narrow);
  return parts;
}

bool WholeVectors(const ProductGroup& group) {
  const bool halves = group.operand == DType::kF16 || group.operand == DType::kBF16;
  return halves && group.rows > 0 &&
         std::all_of(group.shapes().begin(), group.shapes().end(), [&](const ProductShape& p) {
           return p.inputs > 0 && p.inputs % 8 == 0 && p.outputs > 0 && p.outputs % 8 == 0 &&
                  (p.result == DType::kF32 || p.result == group.operand) &&
                  (!p.accumulate ||
                   (p.result == DType::kF32 && !p.bias && p.activation == Activation::kNone));
         });
}

std::string GroupName(const ProductGroup& group) {
  std::string name = absl::StrCat(group.rows, " ", DTypeName(group.operand),
                                  group.transposed ? " transposed" : "");
  for (const ProductShape& p : group.shapes()) {
    absl::StrAppend(&name, " ", p.inputs, "x", p.outputs, ":", DTypeName(p.result),
                    p.accumulate ? "+" : "", p.bias ? ",bias" : "", ActivationName(p.activation));
  }
  return name;
}

int64_t RowBucket(int64_t rows) {
  if (rows <= kFew) return kFew;
  const int64_t step = rows <= kMany ? kStep : kLargeStep;
  return (rows + step - 1) / step * step;
}

}  // namespace skein
