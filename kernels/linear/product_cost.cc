#include "kernels/linear/product_cost.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

namespace skein {
namespace {

// Microseconds, for models of width 2048 and 4096 and 128 to 2048 rows.
struct TileCost {
  double step;    // 64 inputs of a tile, of two where a multiprocessor has two blocks
  double finish;  // of a tile, or of two
  double across;  // how much longer a step of transposed weights takes
  double crowd;   // how much longer one takes when blocks have many tiles, at most and beside 1
};

TileCost CostOf(const ProductTile& tile) {
  if (tile.pair) return {0.65, 3.6, 1.15, 0.019};
  if (tile.blocks == 2) return {0.75, 3.5, 1.1, 0.11};
  if (tile.rows == 256) return {0.71, 3.1, 1.1, 0.01};
  if (tile.outputs == 256) return {0.71, 3.1, 1.07, 0.008};
  if (tile.outputs == 192) return {0.52, 3.9, 1.2, 0.059};
  return {0.34, 2.1, 1.05, 0.2};
}

constexpr double kBiasUs = 1.4;        // of 128 rows and 128 outputs with bias and activation
constexpr double kPairedBiasUs = 1.0;  // of two such where a multiprocessor has two blocks
constexpr double kBeginUs = 5.9;       // of a kernel
constexpr double kReduceUs = 0.91;     // of a cluster's sums, each time that its size doubles
constexpr double kNarrowShare = 0.21;  // narrow products that are split beside whole tiles
// What a block that has the device to itself takes of its time among as many as there can be.
constexpr double kLoneShare = 0.49;
constexpr double kLastFinish = 0.36;   // of a tile, after the last weights
constexpr double kTileOverlap = 5.1;   // of multiplying and reading: a norm's exponent
constexpr double kBytesPerUs = 3.0e6;  // of weights from memory
constexpr int64_t kStepInputs = 64;
// Multiprocessors that a cluster can be spread over.
constexpr int kClusterRooms[] = {18, 18, 18, 16, 16, 16, 16, 14};
constexpr int kMultiprocessors = 132;

// Of cublasLt.
constexpr double kCallUs = 4.3;
constexpr double kFlopsPerUs = 7.6e8;
constexpr double kOverlap = 3.5;
constexpr double kAcross = 1.12;  // times as long for transposed weights and few rows
constexpr int64_t kFewRows = 512;
constexpr double kSecondKernelUs = 2.7;
constexpr double kFinishedPerUs = 1.15e6;  // elements, by the second kernel

constexpr double kLikely = 1.2;  // as slow by the model as the fastest may be
constexpr size_t kMaxLikely = 12;
constexpr double kClearly = 0.94;
constexpr double kNegligibleUs = 0.5;  // of work at full speed

int64_t Tiles(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

// Of a block, for its part of a tile; `crowding` as a factor of its steps.
double BlockMicroseconds(const ProductShape& shape, const ProductTile& tile, int split,
                         double crowding) {
  const TileCost cost = CostOf(tile);
  double finish = cost.finish + kReduceUs * std::log2(split);
  if (shape.bias) {
    finish += tile.blocks == 2 ? kPairedBiasUs : kBiasUs * tile.rows * tile.outputs / (128 * 128);
  }
  const double steps = static_cast<double>(Tiles(shape.inputs, kStepInputs)) / split;
  return steps * cost.step * crowding + finish;
}

double BlocksAtATime(const ProductTile& tile, int sm_count) {
  const int size = tile.pair ? 2 : tile.split;
  int blocks = 0;
  for (const int room : kClusterRooms) blocks += room / size * size;
  return static_cast<double>(blocks) * sm_count / kMultiprocessors * tile.blocks;
}

// Of two that overlap.
double Together(double a, double b, double overlap) {
  return std::pow(std::pow(a, overlap) + std::pow(b, overlap), 1 / overlap);
}

// Blocks that fill `share` of the device once, in terms of those that fill all of it.
double LastRound(double share) {
  return share == 0 ? 0 : share > 1 ? share : kLoneShare + (1 - kLoneShare) * share;
}

double FastestTile(const ProductGroup& group, int sm_count) {
  return TileMicroseconds(group, PickTile(group, sm_count), sm_count);
}

double LibraryMicroseconds(const ProductGroup& product) {
  const ProductShape& shape = product.products[0];
  const int64_t rows = product.rows;
  const auto weights = static_cast<double>(shape.inputs * shape.outputs);
  const double multiply = 2 * static_cast<double>(rows) * weights / kFlopsPerUs;
  const double read = 2 * weights / kBytesPerUs;
  const double across = product.transposed && rows <= kFewRows ? kAcross : 1;
  const double us = kCallUs + across * Together(multiply, read, kOverlap);
  if (!shape.bias && shape.activation == Activation::kNone) return us;
  return us + kSecondKernelUs + static_cast<double>(rows * shape.outputs) / kFinishedPerUs;
}

// Work for the multiprocessors, of blocks that take a tile alone and of those that split one.
struct Work {
  double blocks = 0, us = 0;
};

double Rounds(const Work& work, double at_a_time) {
  const double rounds = work.blocks / at_a_time, whole = std::floor(rounds);
  return work.us / work.blocks * (whole + LastRound(rounds - whole));
}

double MixedRounds(const Work& alone, const Work& split, double at_a_time) {
  const double of_one = alone.us / alone.blocks;
  const double rounds = alone.blocks / at_a_time, whole = std::floor(rounds);
  const double last = rounds - whole + kNarrowShare * split.us / at_a_time / of_one;
  return of_one * (whole + LastRound(last));
}

}  // namespace

double TileMicroseconds(const ProductGroup& group, const ProductTile& tile, int sm_count) {
  const TileCost cost = CostOf(tile);
  const int64_t rows = Tiles(group.rows, tile.rows * (tile.pair ? 2 : 1)) * (tile.pair ? 2 : 1);
  std::array<double, ProductGroup::kMax> blocks = {};
  double all = 0;
  for (int i = 0; i < group.count; ++i) {
    const ProductShape& shape = group.products[i];
    const int parts = IsSplit(tile, group, shape) ? tile.split : 1;
    blocks[i] = static_cast<double>(rows * Tiles(shape.outputs, tile.outputs) * parts);
    all += blocks[i];
  }
  const double at_a_time = BlocksAtATime(tile, sm_count);
  const double crowding = (1 + cost.crowd * (1 - std::min(1.0, at_a_time / all))) *
                          (group.transposed ? cost.across : 1);
  Work alone, split;
  for (int i = 0; i < group.count; ++i) {
    const int parts = IsSplit(tile, group, group.products[i]) ? tile.split : 1;
    Work& work = tile.mixed && parts > 1 ? split : alone;
    work.blocks += blocks[i];
    work.us += blocks[i] * BlockMicroseconds(group.products[i], tile, parts, crowding);
  }
  const double multiply =
      tile.mixed ? MixedRounds(alone, split, at_a_time) : Rounds(alone, at_a_time);
  const double read =
      2.0 * static_cast<double>(group.weights()) / kBytesPerUs + kLastFinish * cost.finish;
  return kBeginUs + Together(multiply, read, kTileOverlap);
}

double PartsMicroseconds(const ProductGroup& group, int sm_count) {
  if (group.count == 1) return LibraryMicroseconds(group);
  double us = 0;
  for (const GroupPart& part : PartsOf(group)) {
    us += std::min(FastestTile(part.group, sm_count), PartsMicroseconds(part.group, sm_count));
  }
  return us;
}

std::vector<ProductTile> LikelyTiles(const ProductGroup& group, int sm_count) {
  std::vector<std::pair<double, ProductTile>> fitting;
  for (const ProductTile& tile : ProductTiles()) {
    if (TileFits(tile, group)) {
      fitting.emplace_back(TileMicroseconds(group, tile, sm_count), tile);
    }
  }
  std::stable_sort(fitting.begin(), fitting.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<ProductTile> likely;
  for (const auto& [us, tile] : fitting) {
    if (us > kLikely * fitting[0].first || likely.size() == kMaxLikely) break;
    likely.push_back(tile);
  }
  return likely;
}

ProductTile PickTile(const ProductGroup& group, int sm_count) {
  return LikelyTiles(group, sm_count)[0];
}

bool PartsAreLikely(const ProductGroup& group, int sm_count) {
  return PartsMicroseconds(group, sm_count) <= kLikely * FastestTile(group, sm_count);
}

bool PickParts(const ProductGroup& group, int sm_count) {
  return PartsMicroseconds(group, sm_count) <= kClearly * FastestTile(group, sm_count);
}

bool IsNegligible(const ProductGroup& group) {
  const auto weights = static_cast<double>(group.weights());
  return std::max(2 * weights / kBytesPerUs,
                  2 * static_cast<double>(group.rows) * weights / kFlopsPerUs) < kNegligibleUs;
}

}  // namespace skein
