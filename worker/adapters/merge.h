// Weights with an adapter merged into them: W' in place of W and hooks beside it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/adapter_module.h"
#include "kernels/device/parallel_for.h"
#include "worker/adapters/adapter.h"
#include "worker/adapters/base_tensors.h"

namespace skein {

// Rows [begin, begin + rows.dim(0)) of W become those of W', in fp32 and in place. `rows` is [n,
// K]. Blocks of outputs take whole blocks alone: begin and n are multiples of the rank there.
void MergeRows(const AdapterModule& module, int64_t begin, const TensorView<float>& rows,
               ParallelFor& threads);

// The tensor `name` of the model (with ".weight" and all) under `adapter`: replaced if it says so,
// then changed. For weights of linear layers and for all other tensors of the model alike; experts
// are no part of it. NotFound.
absl::StatusOr<std::vector<float>> MergedTensor(const Adapter& adapter, absl::string_view name,
                                                const BaseTensors& base, ParallelFor& threads);

// Indices [begin, begin + count) of the first dimension of what `adapter` is applied to: its own
// replacement, or the model's tensor.
absl::Status ReadUnderAdapter(const Adapter& adapter, absl::string_view name,
                              const BaseTensors& base, int64_t begin, int64_t count, float* out);

// W + s B A, the same way as MergeRows: what the magnitudes of DoRA belong to.
void AddLowRankRows(const AdapterModule& module, int64_t begin, const TensorView<float>& rows,
                    ParallelFor& threads);

// Rows that are merged at a time: enough for the products, few enough for the cache's sake.
int64_t MergeChunkRows(const AdapterModule& module);

}  // namespace skein
