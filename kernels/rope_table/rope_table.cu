#include "kernels/cuda/launch.h"
#include "kernels/rope_table/rope_table.h"

namespace skein {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = 8;  // of a block

struct Params {
  const int32_t* positions;
  double theta;
  float *cosines, *sines;
  int rows, half;
};

// A thread has one frequency and kRows rows. Double precision, whose sine takes angles of any size.
__global__ void __launch_bounds__(kThreads) RopeTableKernel(const Params p) {
  const int i = blockIdx.y * kThreads + threadIdx.x;
  const double frequency = pow(p.theta, -static_cast<double>(i) / static_cast<double>(p.half));
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  if (i >= p.half) return;
  for (int r = 0; r < kRows; ++r) {
    const int row = blockIdx.x * kRows + r;
    if (row >= p.rows) return;
    double sine, cosine;
    sincos(p.positions[row] * frequency, &sine, &cosine);
    const int64_t at = static_cast<int64_t>(row) * p.half + i;
    p.cosines[at] = static_cast<float>(cosine);
    p.sines[at] = static_cast<float>(sine);
  }
}

}  // namespace

absl::Status RopeTableCuda(const RopeTableArgs& args, CudaContext& context) {
  const Params params = {args.positions.data(),
                         args.theta,
                         args.cosines.data(),
                         args.sines.data(),
                         static_cast<int>(args.positions.dim(0)),
                         static_cast<int>(args.cosines.dim(1))};
  if (params.rows == 0 || params.half == 0) return absl::OkStatus();
  const dim3 grid(static_cast<unsigned>((params.rows + kRows - 1) / kRows),
                  static_cast<unsigned>((params.half + kThreads - 1) / kThreads));
  return cuda::Launch(context, "rope_table", RopeTableKernel, {grid, dim3(kThreads)}, params);
}

}  // namespace skein
