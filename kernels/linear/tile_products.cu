#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/linear/tensor_map.cuh"
#include "kernels/linear/tile_kernel.cuh"
#include "kernels/linear/tile_products.h"

namespace skein {
namespace {

using cuda::TileLaunch;
using cuda::TileProblem;
using TileKernelPointer = void (*)(TileLaunch);

struct TileEntry {
  TileKernelPointer kernel = nullptr;
  int threads = 0;
  int shared_bytes = 0;
};

template <int kRows, int kOutputs, int kBlocks, bool kPair, typename T, bool kAcross>
TileEntry Entry() {
  using Shape = cuda::TileShape<kRows, kOutputs, kBlocks, kPair, T, kAcross>;
  return {cuda::TileKernel<Shape>, Shape::kThreads, Shape::kSharedBytes};
}

template <typename T, bool kAcross>
TileEntry EntryFor(const ProductTile& tile) {
  if (tile.pair) return Entry<128, 256, 1, true, T, kAcross>();
  if (tile.blocks == 2) return Entry<128, 128, 2, false, T, kAcross>();
  if (tile.rows == 256) return Entry<256, 128, 1, false, T, kAcross>();
  if (tile.outputs == 128) return Entry<128, 128, 1, false, T, kAcross>();
  if (tile.outputs == 192) return Entry<128, 192, 1, false, T, kAcross>();
  return Entry<128, 256, 1, false, T, kAcross>();
}

TileEntry EntryFor(const ProductGroup& group, const ProductTile& tile) {
  if (group.operand == DType::kF16) {
    return group.transposed ? EntryFor<__half, true>(tile) : EntryFor<__half, false>(tile);
  }
  return group.transposed ? EntryFor<__nv_bfloat16, true>(tile)
                          : EntryFor<__nv_bfloat16, false>(tile);
}

// Clusters that run at the same time. Remembered, as asking takes the driver a while.
int ActiveClusters(const TileEntry& entry, int cluster_size, int blocks) {
  if (cluster_size == 1) return blocks;
  static std::mutex mu;
  static std::map<std::pair<TileKernelPointer, int>, int> known;
  const std::lock_guard<std::mutex> lock(mu);
  int& clusters = known[{entry.kernel, cluster_size}];
  if (clusters > 0) return clusters;
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = cluster_size;
  attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(blocks / cluster_size * cluster_size);
  config.blockDim = dim3(entry.threads);
  config.dynamicSmemBytes = entry.shared_bytes;
  config.attrs = &attribute;
  config.numAttrs = 1;
  if (cudaOccupancyMaxActiveClusters(&clusters, entry.kernel, &config) != cudaSuccess ||
      clusters < 1) {
    static_cast<void>(cudaGetLastError());
    clusters = blocks / cluster_size;
  }
  return clusters;
}

int64_t Tiles(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

absl::Status MakeProblem(const ProductGroup& group, const ProductShape& shape,
                         const ProductOperands& operands, const ProductTile& tile,
                         TileProblem& problem) {
  RETURN_IF_ERROR(cuda::EncodeMap(operands.x, group.rows, shape.inputs, tile.rows, problem.x));
  if (group.transposed) {
    RETURN_IF_ERROR(cuda::EncodeMap(operands.weight, shape.inputs, shape.outputs, 64, problem.w));
  } else {
    RETURN_IF_ERROR(cuda::EncodeMap(operands.weight, shape.outputs, shape.inputs,
                                    tile.outputs / (tile.pair ? 2 : 1), problem.w));
  }
  problem.f32 = shape.result == DType::kF32;
  problem.split = IsSplit(tile, group, shape) ? tile.split : 1;
  problem.box_chunks = problem.f32 || problem.split > 1 ? 1 : 2;
  RETURN_IF_ERROR(cuda::EncodeOutputMap(operands.y, problem.f32 ? 4 : 2, group.rows, shape.outputs,
                                        problem.box_chunks * 32, problem.y));
  problem.bias = operands.bias;
  problem.outputs = static_cast<int>(shape.outputs);
  problem.steps = static_cast<int>(Tiles(shape.inputs, cuda::kTileStep));
  problem.columns = static_cast<int>(Tiles(shape.outputs, tile.outputs));
  problem.accumulate = shape.accumulate;
  problem.activation = shape.activation;
  return absl::OkStatus();
}

// Weights that are read by tiles running side by side, and then no more, leave the L2 cache first.
constexpr int64_t kStreamedRows = 256;
// Rows that run side by side: as many operand bytes of rows as of outputs.
constexpr int kBandRows = 2048;

}  // namespace

bool TileProductsTake(const ProductGroup& group, const CudaContext& context) {
  return context.compute_capability == 90 && WholeVectors(group);
}

absl::Status TileProducts(const ProductGroup& group, std::span<const ProductOperands> operands,
                          const ProductTile& tile, CudaContext& context) {
  if (!TileFits(tile, group)) {
    return absl::InvalidArgumentError(absl::StrCat("products: no kernel for tiles ", tile.rows, "x",
                                                   tile.outputs, " split ", tile.split, " of ",
                                                   GroupName(group)));
  }
  TileLaunch launch;
  const int cluster_size = tile.pair ? 2 : tile.split;
  launch.rows = static_cast<int>(group.rows);
  launch.row_units = static_cast<int>(Tiles(group.rows, tile.rows * (tile.pair ? 2 : 1)));
  launch.band = kBandRows / (tile.rows * (tile.pair ? 2 : 1));
  launch.split = tile.split;
  launch.weight_policy = group.rows <= kStreamedRows ? cuda::kEvictFirst : cuda::kEvictNormal;
  launch.count = launch.units = launch.alone = 0;
  for (const bool split : {false, true}) {
    for (int i = 0; i < group.count; ++i) {
      if (IsSplit(tile, group, group.products[i]) != split) continue;
      TileProblem& problem = launch.problems[launch.count++];
      RETURN_IF_ERROR(MakeProblem(group, group.products[i], operands[i], tile, problem));
      problem.first_unit = launch.units;
      launch.units += launch.row_units * problem.columns;
    }
    if (!split) launch.alone = launch.units;
  }
  const TileEntry entry = EntryFor(group, tile);
  RETURN_IF_ERROR(
      cuda::AllowSharedMemory(reinterpret_cast<const void*>(entry.kernel), entry.shared_bytes));
  const int64_t wanted = launch.units - launch.alone + Tiles(launch.alone, tile.split);
  const int clusters = static_cast<int>(std::min<int64_t>(
      wanted, ActiveClusters(entry, cluster_size, context.sm_count * tile.blocks)));
  const int last_round = launch.alone % (clusters * tile.split);
  launch.first_idle = last_round == 0 ? clusters : static_cast<int>(Tiles(last_round, tile.split));
  cuda::LaunchShape shape;
  shape.grid = dim3(clusters * cluster_size);
  shape.block = dim3(entry.threads);
  shape.shared_bytes = entry.shared_bytes;
  shape.cluster_size = cluster_size;
  return cuda::Launch(context, "tile_products", entry.kernel, shape, launch);
}

}  // namespace skein
