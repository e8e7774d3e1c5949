// What the CUDA body of an operation works with. Plain data, so that code without CUDA can hand it
// on.
#pragma once

#include <cstddef>
#include <cstdint>

struct CUstream_st;

namespace skein {

class Matmul;

// One per model and stream; used by one thread. Its owner is a Device
// (device.h), or a test.
struct CudaContext {
  CUstream_st* stream = nullptr;

  // Device memory whose contents live within one operation. Operations run one after the other, so
  // all share it.
  void* workspace = nullptr;
  size_t workspace_bytes = 0;
  // Zero between operations: who counts in them sets them back. For "the last block to arrive
  // finishes the sum".
  uint32_t* counters = nullptr;
  int64_t num_counters = 0;

  int device = 0;
  int sm_count = 132;
  int compute_capability = 90;  // 10 * major + minor

  // One arithmetic for 1 to 64 rows: a row's bits do not depend on how many are beside it.
  bool batch_invariant = false;
  // Programmatic dependent launch between the kernels of a step (compute capability 9.0 and up).
  bool dependent_launch = true;

  // While set, shapes of products that nothing is known of are measured where they come up, outside
  // captures: for a first pass through a model at load.
  bool tuning = false;
  int tuned_products = 0;     // groups that were measured so far
  double tuning_seconds = 0;  // which took so long
  Matmul* matmul = nullptr;  // products by cublasLt; null where the library is missing
};

}  // namespace skein
