#include <algorithm>
#include <limits>

#include "kernels/linear/tile_products.h"

namespace skein {
namespace {

constexpr ProductTile kTiles[] = {
    {128, 128, 1},           {128, 128, 2},           {128, 128, 3},
    {128, 128, 4},           {128, 128, 6},           {128, 128, 8},
    {128, 192, 1},           {128, 192, 2},           {128, 192, 4},
    {128, 256, 1},           {128, 256, 2},           {128, 256, 4},
    {256, 128, 1},           {256, 128, 2},           {128, 256, 1, true},
    {128, 128, 1, false, 2}, {128, 128, 2, false, 2}, {128, 128, 3, false, 2},
    {128, 128, 4, false, 2}, {128, 128, 6, false, 2}, {128, 128, 8, false, 2}};

// Microseconds, as measured on an H100.
constexpr double kMultiplyUs = 0.0057;  // 128 rows times 128 outputs times one input
constexpr double kBeginUs = 2.5;        // of a kernel
constexpr double kFinishUs = 1.5;       // of a tile
constexpr double kReduceUs = 2.0;       // of a cluster's sums
constexpr double kBytesPerUs = 2.7e6;   // of weights from memory
constexpr int64_t kMinInputs = 256;     // of a block that shares a tile's inputs with others

int64_t Tiles(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

// The blocks of a multiprocessor share its time, so it is their sum that counts.
double Microseconds(const ProductGroup& group, const ProductTile& tile, int sm_count) {
  const int size = tile.pair ? 2 : tile.split;
  const int64_t rows = Tiles(group.rows, tile.rows * (tile.pair ? 2 : 1)) * (tile.pair ? 2 : 1);
  const double area = tile.rows / 128.0 * tile.outputs / 128.0;
  double blocks = 0, busy = 0;
  for (const ProductShape& shape : group.shapes()) {
    const double count = static_cast<double>(rows * Tiles(shape.outputs, tile.outputs));
    blocks += count * tile.split;
    busy += count * (area * kMultiplyUs * shape.inputs + tile.split * kFinishUs * area);
  }
  // Clusters leave a few multiprocessors out.
  const int64_t usable = sm_count - (size > 2 ? size : 0);
  const double average = busy / blocks;
  const double waves = static_cast<double>(Tiles(static_cast<int64_t>(blocks), usable));
  const double memory = 2.0 * group.weights() / kBytesPerUs;
  return kBeginUs + (tile.split > 1 ? kReduceUs : 0.0) + std::max(waves * average, memory);
}

}  // namespace

std::span<const ProductTile> ProductTiles() { return kTiles; }

ProductTile PickTile(const ProductGroup& group, int sm_count) {
  int64_t inputs = std::numeric_limits<int64_t>::max();
  for (const ProductShape& shape : group.shapes()) inputs = std::min(inputs, shape.inputs);
  ProductTile best = kTiles[0];
  double best_us = std::numeric_limits<double>::infinity();
  for (const ProductTile& tile : kTiles) {
    if (tile.split > 1 && inputs < tile.split * kMinInputs) continue;
    const double us = Microseconds(group, tile, sm_count);
    if (us < best_us) best = tile, best_us = us;
  }
  return best;
}

}  // namespace skein
