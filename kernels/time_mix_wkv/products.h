// The products of the stage, as both bodies run them.
#pragma once

#include "absl/container/inlined_vector.h"

#include "kernels/linear/linear.h"
#include "kernels/time_mix_wkv/time_mix_wkv.h"

namespace skein {

absl::InlinedVector<Projection, 4> TimeMixWkvProducts(const TimeMixWkvArgs& args);

}  // namespace skein
