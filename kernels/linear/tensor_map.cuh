// Descriptors of matrices for bulk tensor copies.
#pragma once

#include <cstdint>

#include <cuda.h>

#include "absl/status/status.h"

namespace skein::cuda {

// Boxes [box_rows][64] of a row-major matrix [rows][columns] of 16-bit elements in device memory,
// with 128-byte swizzle. Elements outside are read as zero. Host work of about a microsecond that
// touches no memory of the device, so it may run while a graph is captured.
absl::Status EncodeMap(const void* data, int64_t rows, int64_t columns, int box_rows,
                       CUtensorMap& map);
// Boxes [16][box_columns], 64 or 128 bytes wide and swizzled as wide, of a matrix that is written:
// fp32 with elements of four bytes, 16-bit ones with two. Elements outside are left out.
absl::Status EncodeOutputMap(void* data, int element_bytes, int64_t rows, int64_t columns,
                             int box_columns, CUtensorMap& map);

}  // namespace skein::cuda
