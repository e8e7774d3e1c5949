// Which kernel runs a product.
#include <vector>

#include "common/base/status_macros.h"
#include "kernels/device/cuda_context.h"
#include "kernels/linear/gemv.h"
#include "kernels/linear/large_products.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/plain_products.h"
#include "kernels/linear/streamed_products.h"

namespace skein {

absl::Status ProjectCuda(std::span<const Projection> projections, CudaContext& context) {
  if (projections.empty() || projections[0].x.dim(0) == 0) return absl::OkStatus();
  if (CanGemv(projections, context)) return GemvProducts(projections, context);
  std::vector<Projection> streamed, large, plain;
  for (const Projection& p : projections) {
    if (CanStream(p, context)) {
      streamed.push_back(p);
    } else if (p.x.dim(0) > kMaxStreamedRows && CanRunLarge(p, context)) {
      large.push_back(p);
    } else {
      plain.push_back(p);
    }
  }
  RETURN_IF_ERROR(StreamedProducts(streamed, context));
  RETURN_IF_ERROR(LargeProducts(large, context));
  return PlainProducts(plain, context);
}

}  // namespace skein
