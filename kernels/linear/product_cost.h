// What ways to compute a group of products take by models fitted to measurements on an H100: which
// of them are worth measuring, and which to take without.
#pragma once

#include <vector>

#include "kernels/linear/product_group.h"
#include "kernels/linear/tile_products.h"

namespace skein {

// Of a tile that fits the group.
double TileMicroseconds(const ProductGroup& group, const ProductTile& tile, int sm_count);

// Of cublasLt with its fastest algorithm for a single product. Of a group's parts, one by one, each
// in its faster way.
double PartsMicroseconds(const ProductGroup& group, int sm_count);

// The tiles that may be the fastest, likely ones first; at least one.
std::vector<ProductTile> LikelyTiles(const ProductGroup& group, int sm_count);

// The first of them: what is taken without measurement.
ProductTile PickTile(const ProductGroup& group, int sm_count);

// Whether cublasLt, or the parts one by one, may be faster than all tiles; and whether to take that
// without measurement.
bool PartsAreLikely(const ProductGroup& group, int sm_count);
bool PickParts(const ProductGroup& group, int sm_count);

// Whether the group has so little work that starting it takes most of the time.
bool IsNegligible(const ProductGroup& group);

}  // namespace skein
