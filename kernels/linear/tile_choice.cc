#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "kernels/linear/tile_products.h"

namespace skein {
namespace {

constexpr ProductTile MixedTile(int outputs) {
  ProductTile tile{128, outputs, 4};
  tile.mixed = true;
  return tile;
}

constexpr ProductTile kTiles[] = {
    {128, 128, 1},           {128, 128, 2},           {128, 128, 3},
    {128, 128, 4},           {128, 128, 6},           {128, 128, 8},
    {128, 192, 1},           {128, 192, 2},           {128, 192, 4},
    {128, 256, 1},           {128, 256, 2},           {128, 256, 4},
    {128, 256, 8},           {256, 128, 1},           {256, 128, 2},
    {128, 256, 1, true},     {128, 128, 1, false, 2}, {128, 128, 2, false, 2},
    {128, 128, 3, false, 2}, {128, 128, 4, false, 2}, {128, 128, 6, false, 2},
    {128, 128, 8, false, 2}, MixedTile(128),          MixedTile(192),
    MixedTile(256)};

// Microseconds, as measured on an H100 for models of width 2048 and 4096 and 128 to 2048 rows.
struct TileCost {
  double step;    // 64 inputs of a tile, of two where a multiprocessor has two blocks
  double finish;  // of a tile, or of two
};

TileCost CostOf(const ProductTile& tile) {
  if (tile.pair) return {0.87, 4.0};
  if (tile.blocks == 2) return {0.72, 8.3};
  if (tile.rows == 256) return {0.73, 5.0};
  if (tile.outputs == 256) return {0.70, 4.8};
  return tile.outputs == 192 ? TileCost{0.50, 5.8} : TileCost{0.38, 2.5};
}

constexpr double kBiasUs = 6.8;        // of 128 rows and 128 outputs with bias and activation
constexpr double kPairedBiasUs = 6.2;  // of two such where a multiprocessor has two blocks
constexpr double kBeginUs = 3.9;       // of a kernel
constexpr double kReduceUs = 1.1;      // of a cluster's sums, each time that its size doubles
// What a block that has the device to itself takes of its time among as many as there can be.
constexpr double kLoneShare = 0.64;
constexpr double kBytesPerUs = 2.0e6;  // of weights from memory
constexpr int64_t kStepInputs = 64;
// Products that a mixed tile splits have as many times fewer outputs than the widest.
constexpr int64_t kNarrow = 8;
constexpr int64_t kMinInputs = 256;  // of a block that shares a tile's inputs with others

int64_t Tiles(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

// Of a block, for its part of a tile.
double BlockMicroseconds(const ProductShape& shape, const ProductTile& tile) {
  const TileCost cost = CostOf(tile);
  double finish = cost.finish;
  if (shape.bias) {
    finish += tile.blocks == 2 ? kPairedBiasUs : kBiasUs * tile.rows * tile.outputs / (128 * 128);
  }
  return static_cast<double>(Tiles(shape.inputs, kStepInputs)) / tile.split * cost.step + finish;
}

double Microseconds(const ProductGroup& group, const ProductTile& tile, int sm_count) {
  const int size = tile.pair ? 2 : tile.split;
  const int64_t rows = Tiles(group.rows, tile.rows * (tile.pair ? 2 : 1)) * (tile.pair ? 2 : 1);
  double blocks = 0, busy = 0;
  for (const ProductShape& shape : group.shapes()) {
    const double count =
        static_cast<double>(rows * Tiles(shape.outputs, tile.outputs) * tile.split);
    blocks += count;
    busy += count * BlockMicroseconds(shape, tile);
  }
  // Large clusters leave a few multiprocessors out.
  const double wave = (sm_count - sm_count % size) * tile.blocks;
  const double waves = std::ceil(blocks / wave);
  double multiply = waves * busy / blocks;
  if (waves == 1) multiply *= kLoneShare + (1 - kLoneShare) * blocks / wave;
  const double memory = 2.0 * group.weights() / kBytesPerUs;
  return kBeginUs + kReduceUs * std::log2(tile.split) + std::max(multiply, memory);
}

}  // namespace

std::span<const ProductTile> ProductTiles() { return kTiles; }

bool IsSplit(const ProductTile& tile, const ProductGroup& group, const ProductShape& shape) {
  if (tile.split == 1 || !tile.mixed) return tile.split > 1;
  int64_t widest = 0;
  for (const ProductShape& other : group.shapes()) widest = std::max(widest, other.outputs);
  return shape.outputs * kNarrow <= widest;
}

bool TileFits(const ProductTile& tile, const ProductGroup& group) {
  if (std::find(std::begin(kTiles), std::end(kTiles), tile) == std::end(kTiles)) return false;
  int split = 0;
  for (const ProductShape& shape : group.shapes()) {
    if (!IsSplit(tile, group, shape)) continue;
    ++split;
    if (tile.split > Tiles(shape.inputs, kStepInputs)) return false;
  }
  return !tile.mixed || (split > 0 && split < group.count);
}

ProductTile PickTile(const ProductGroup& group, int sm_count) {
  int64_t inputs = std::numeric_limits<int64_t>::max();
  for (const ProductShape& shape : group.shapes()) inputs = std::min(inputs, shape.inputs);
  ProductTile best = kTiles[0];
  double best_us = std::numeric_limits<double>::infinity();
  for (const ProductTile& tile : kTiles) {
    if (!TileFits(tile, group) || tile.mixed) continue;
    if (tile.split > 1 && inputs < tile.split * kMinInputs) continue;
    const double us = Microseconds(group, tile, sm_count);
    if (us < best_us) best = tile, best_us = us;
  }
  return best;
}

}  // namespace skein
