// The products of the stage, as both bodies run them.
#pragma once

#include "absl/container/inlined_vector.h"

#include "kernels/hybrid_wkv/hybrid_wkv.h"
#include "kernels/linear/linear.h"

namespace skein {

absl::InlinedVector<Projection, 5> HybridWkvProducts(const HybridWkvArgs& args);

}  // namespace skein
