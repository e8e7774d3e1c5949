// The factors of DoRA, which come from magnitudes in the file and norms of the changed weight.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "kernels/device/parallel_for.h"
#include "worker/adapters/adapter.h"
#include "worker/adapters/base_tensors.h"

namespace skein {

// Fills the input or output scale of `linear`, a low-rank module of `adapter` whose space for it is
// there. With X = W + s B A, W as the adapter replaces it:
//   inputs:  c_k = magnitude_k / (|X[:, k]| + 1e-6)
//   outputs: rho_m = magnitude_m / |X[m, :]|
// DataLoss if a magnitude or a factor is not finite. Sums are taken in double precision.
absl::Status ScaleByNorms(const Adapter& adapter, const AdaptedLinear& linear,
                          std::span<const float> magnitude, const BaseTensors& base,
                          ParallelFor& threads);

}  // namespace skein
