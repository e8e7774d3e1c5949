// The parts of the stage, as both bodies run them.
#pragma once

#include "absl/container/inlined_vector.h"

#include "kernels/cpu/token_shift.h"
#include "kernels/linear/linear.h"
#include "kernels/time_mix_in/time_mix_in.h"

namespace skein {

TokenShift TimeMixInShift(const TimeMixInArgs& args);
absl::InlinedVector<ShiftedInput, TimeMixInArgs::kNumInputs> TimeMixInInputs(
    const TimeMixInArgs& args);
absl::InlinedVector<Projection, 7> TimeMixInProducts(const TimeMixInArgs& args);

}  // namespace skein
