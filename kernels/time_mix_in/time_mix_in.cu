#include "common/base/status_macros.h"
#include "kernels/cuda/token_shift.h"
#include "kernels/time_mix_in/products.h"

namespace skein {

absl::Status TimeMixInCuda(const TimeMixInArgs& args, CUstream_st* stream) {
  RETURN_IF_ERROR(TokenShiftCuda(TimeMixInShift(args), TimeMixInInputs(args), stream));
  return ProjectCuda(TimeMixInProducts(args), stream);
}

}  // namespace skein
