#include <cuda_runtime.h>

#include "absl/strings/str_cat.h"

#include "kernels/linear/tensor_map.cuh"

namespace skein::cuda {
namespace {

using EncodeTiled = decltype(&::cuTensorMapEncodeTiled);

// Asked of the runtime, so that nothing links to the driver's library.
EncodeTiled FindEncodeTiled() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result;
  const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function,
                                                             12000, cudaEnableDefault, &result);
  if (error != cudaSuccess || result != cudaDriverEntryPointSuccess) return nullptr;
  return reinterpret_cast<EncodeTiled>(function);
}

struct BoxedMatrix {
  const void* data = nullptr;
  int element_bytes = 2;  // 2, or 4 for fp32
  int64_t rows = 0, columns = 0;
  int box_rows = 0, box_columns = 0;
};

// With swizzle as wide as a box: 64 or 128 bytes.
absl::Status Encode(const BoxedMatrix& matrix, CUtensorMap& map) {
  static const EncodeTiled encode = FindEncodeTiled();
  if (encode == nullptr) return absl::UnavailableError("cuTensorMapEncodeTiled: not in the driver");
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(matrix.columns),
                               static_cast<cuuint64_t>(matrix.rows)};
  const cuuint64_t stride = matrix.columns * matrix.element_bytes;
  const cuuint32_t box[2] = {static_cast<cuuint32_t>(matrix.box_columns),
                             static_cast<cuuint32_t>(matrix.box_rows)};
  const cuuint32_t steps[2] = {1, 1};
  const CUresult result = encode(
      &map,
      matrix.element_bytes == 4 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32 : CU_TENSOR_MAP_DATA_TYPE_UINT16,
      2, const_cast<void*>(matrix.data), sizes, &stride, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
      matrix.box_columns * matrix.element_bytes == 128 ? CU_TENSOR_MAP_SWIZZLE_128B
                                                       : CU_TENSOR_MAP_SWIZZLE_64B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result == CUDA_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cuTensorMapEncodeTiled: error ", result, " for [",
                                          matrix.rows, ", ", matrix.columns, "]"));
}

}  // namespace

absl::Status EncodeMap(const void* data, int64_t rows, int64_t columns, int box_rows,
                       CUtensorMap& map) {
  return Encode({data, 2, rows, columns, box_rows, 64}, map);
}

absl::Status EncodeOutputMap(void* data, int element_bytes, int64_t rows, int64_t columns,
                             int box_columns, CUtensorMap& map) {
  return Encode({data, element_bytes, rows, columns, 16, box_columns}, map);
}

}  // namespace skein::cuda
