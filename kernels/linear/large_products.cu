#include <array>
#include <cstdint>

#include "common/base/status_macros.h"
#include "kernels/linear/large_products.h"
#include "kernels/linear/matmul.h"
#include "kernels/linear/product_cost.h"

namespace skein {
namespace {

ProductShape ShapeOf(const Projection& p) {
  return {p.weight.cols, p.weight.rows, p.y.dtype(), p.activation, !p.bias.empty(), p.accumulate};
}

ProductGroup GroupOf(const Projection& p) {
  ProductGroup group;
  group.rows = p.x.dim(0);
  group.operand = p.weight.dtype;
  group.transposed = p.weight.transposed;
  group.count = 1;
  group.products[0] = ShapeOf(p);
  return group;
}

bool Joins(const ProductGroup& group, const Projection& p) {
  return group.count < ProductGroup::kMax && group.operand == p.weight.dtype &&
         group.transposed == p.weight.transposed;
}

bool Aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

absl::Status Run(const ProductGroup& group, std::span<const ProductOperands> operands,
                 CudaContext& context) {
  if (context.matmul != nullptr) return context.matmul->Run(group, operands, context);
  return TileProducts(group, operands, PickTile(group, context.sm_count), context);
}

}  // namespace

bool CanRunLarge(const Projection& p, const CudaContext& context) {
  const ProductGroup group = GroupOf(p);
  return p.x.dtype() == p.weight.dtype && WholeVectors(group) && Aligned(p.weight.data) &&
         Aligned(p.x.data()) && Aligned(p.y.data()) && Aligned(p.bias.data()) &&
         (context.matmul != nullptr || TileProductsTake(group, context));
}

absl::Status LargeProducts(std::span<const Projection> projections, CudaContext& context) {
  for (size_t next = 0; next < projections.size();) {
    ProductGroup group = GroupOf(projections[next]);
    group.count = 0;
    std::array<ProductOperands, ProductGroup::kMax> operands;
    for (; next < projections.size() && Joins(group, projections[next]); ++next) {
      const Projection& p = projections[next];
      group.products[group.count] = ShapeOf(p);
      operands[group.count++] = {p.weight.data, p.x.data(), p.bias.data(), p.y.data()};
    }
    RETURN_IF_ERROR(Run(group, {operands.data(), static_cast<size_t>(group.count)}, context));
  }
  return absl::OkStatus();
}

}  // namespace skein
