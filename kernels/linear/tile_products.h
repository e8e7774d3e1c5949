// Products with many rows, written for the tensor cores of compute capability 9.0a: all products of
// a group in one launch, with bias, activation and residual sum where the result leaves the
// registers. Sums run in a fixed order that depends on the tile alone.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"

#include "kernels/device/cuda_context.h"
#include "kernels/linear/product_group.h"

namespace skein {

// How the results are cut into tiles, and what a cluster of blocks does.
struct ProductTile {
  int rows = 128;
  int outputs = 128;
  // Blocks of a cluster that split the inputs of one tile among them and add up their sums.
  int split = 1;
  // Otherwise: two blocks with neighbouring rows that load their common weights once.
  bool pair = false;
  // Blocks on a multiprocessor at a time. With two, one multiplies while the other finishes, and
  // the next kernel's begin to load while these still run.
  int blocks = 1;
  // With a split of several: only products with at most an eighth of the widest one's outputs are
  // split. Blocks take the others' tiles alone.
  bool mixed = false;

  bool operator==(const ProductTile&) const = default;
};

// All tiles that there are kernels for.
std::span<const ProductTile> ProductTiles();

// Rises whenever the kernels change so that earlier measurements mislead.
inline constexpr int kTileVersion = 3;

// True if the kernels run on this device and the group has whole vectors.
bool TileProductsTake(const ProductGroup& group, const CudaContext& context);

// Whether `tile` splits the inputs of this product of the group.
bool IsSplit(const ProductTile& tile, const ProductGroup& group, const ProductShape& shape);
// Whether there is a kernel for `tile`, and it can run the group: all that is split has inputs for
// every block, and where some is to be split and some not, there is both.
bool TileFits(const ProductTile& tile, const ProductGroup& group);

// Enqueues the group, which TileProductsTake must have allowed. Operands are 16-byte aligned.
// InvalidArgument if the tile does not fit.
absl::Status TileProducts(const ProductGroup& group, std::span<const ProductOperands> operands,
                          const ProductTile& tile, CudaContext& context);

}  // namespace skein
