#include <algorithm>
#include <iterator>

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

constexpr int64_t kStepInputs = 64;

int64_t Tiles(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

}  // namespace

std::span<const ProductTile> ProductTiles() { return kTiles; }

bool IsSplit(const ProductTile& tile, const ProductGroup& group, const ProductShape& shape) {
  return tile.split > 1 && (!tile.mixed || IsNarrow(group, shape));
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

}  // namespace skein
