// How a group of products runs, and as text in a file.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

#include "kernels/linear/library_products.h"
#include "kernels/linear/tile_products.h"

namespace skein {

// As one launch of our tiles, or in the library: a single product by an algorithm, a group by its
// parts (PartsOf), each of which has a plan of its own.
struct ProductPlan {
  bool tiles = false;
  ProductTile tile;
  LibraryProducts::Algorithm algorithm = {};

  bool operator==(const ProductPlan&) const = default;
};

// "tile 128 256 2 0 1 0" or "library 0123...": one line, and back. None if it is no plan.
std::string PlanText(const ProductPlan& plan);
std::optional<ProductPlan> ParsePlan(absl::string_view text);

}  // namespace skein
