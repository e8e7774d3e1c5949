#include "common/base/status_macros.h"
#include "kernels/cuda/token_shift.h"
#include "kernels/time_mix_in/products.h"

namespace skein {

absl::Status TimeMixInCuda(const TimeMixInArgs& args, CudaContext& context) {
  RETURN_IF_ERROR(TokenShiftCuda(TimeMixInShift(args), TimeMixInInputs(args), context));
  return ProjectCuda(TimeMixInProducts(args), context);
}

}  // namespace skein
