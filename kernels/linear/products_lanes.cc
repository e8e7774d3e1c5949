#include "kernels/linear/products_lanes.h"

#include "kernels/cpu/vec.h"

namespace skein::SKEIN_ISA_NAMESPACE {
namespace {

// Few rows: weights stream from memory once, widened on the way, in bundles of rows and outputs for
// independent sums.
//
// Many rows: a panel of outputs is widened to fp32 in the cache, and tiles of rows by outputs run
// over it with all their sums in registers. Between blocks of columns the sums wait in memory.
#if SKEIN_ISA_AVX512
constexpr int64_t kStreamRows = 4, kStreamOutputs = 4, kMaxStreamedRows = 24;
constexpr int64_t kTileRows = 4, kTileOutputs = 6;
#elif SKEIN_ISA_AVX2
constexpr int64_t kStreamRows = 3, kStreamOutputs = 2, kMaxStreamedRows = 12;
constexpr int64_t kTileRows = 2, kTileOutputs = 3;
#else
constexpr int64_t kStreamRows = 1, kStreamOutputs = 2, kMaxStreamedRows = 4;
constexpr int64_t kTileRows = 1, kTileOutputs = 4;
#endif
constexpr int64_t kTile = kTileRows * kTileOutputs;
constexpr int64_t kTileSums = (kTile + kLanes - 1) / kLanes * kLanes;
constexpr int64_t kBlockRows = 128;
constexpr int64_t kBlockCols = 1024;

struct F32 {
  using Element = float;
  SKEIN_INLINE Vec Get(const float* p) { return Load(p); }
  SKEIN_INLINE Vec GetTail(const float* p, int64_t n) { return LoadTail(p, n); }
};
struct Bf16 {
  using Element = uint16_t;
  SKEIN_INLINE Vec Get(const uint16_t* p) { return LoadBf16(p); }
  SKEIN_INLINE Vec GetTail(const uint16_t* p, int64_t n) { return LoadBf16Tail(p, n); }
};
struct F16 {
  using Element = uint16_t;
  SKEIN_INLINE Vec Get(const uint16_t* p) { return LoadF16(p); }
  SKEIN_INLINE Vec GetTail(const uint16_t* p, int64_t n) { return LoadF16Tail(p, n); }
};

// Asks for the weights of the next bundle: processors do not follow several short streams by
// themselves. May point beyond the matrix, which does no harm.
template <typename Element>
SKEIN_INLINE void FetchAhead(const Element* at, int64_t elements) {
  const auto address =
      reinterpret_cast<uintptr_t>(at) + static_cast<uintptr_t>(elements) * sizeof(Element);
  // Arithmetic on the pointer itself would be undefined beyond the end.
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  __builtin_prefetch(reinterpret_cast<const void*>(address), 0, 3);
}

// kRows rows from `m`, kOutputs outputs from `o`.
template <typename Format, int kRows, int kOutputs>
SKEIN_INLINE void Bundle(const ProductCall& call, int64_t m, int64_t o) {
  const auto* w = static_cast<const typename Format::Element*>(call.weight) + o * call.cols;
  const float* x = call.x + m * call.x_stride;
  Vec sums[kRows * kOutputs];
  for (Vec& sum : sums) sum = Zero();
  int64_t k = 0;
  for (; k + kLanes <= call.cols; k += kLanes) {
    Vec inputs[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) inputs[r] = Load(x + r * call.x_stride + k);
#pragma GCC unroll 4
    for (int c = 0; c < kOutputs; ++c) {
      const typename Format::Element* at = w + c * call.cols + k;
      FetchAhead(at, kOutputs * call.cols);
      const Vec weights = Format::Get(at);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums[r * kOutputs + c] = Fma(weights, inputs[r], sums[r * kOutputs + c]);
      }
    }
  }
  if (k < call.cols) {
    const int64_t left = call.cols - k;
    for (int c = 0; c < kOutputs; ++c) {
      const Vec weights = Format::GetTail(w + c * call.cols + k, left);
      for (int r = 0; r < kRows; ++r) {
        sums[r * kOutputs + c] =
            Fma(weights, LoadTail(x + r * call.x_stride + k, left), sums[r * kOutputs + c]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kOutputs; ++c) {
      call.y[(m + r) * call.y_stride + o + c] = Sum(sums[r * kOutputs + c]);
    }
  }
}

template <typename Format, int kOutputs>
SKEIN_INLINE void AllRows(const ProductCall& call, int64_t o) {
  int64_t m = 0;
  for (; m + kStreamRows <= call.rows; m += kStreamRows) {
    Bundle<Format, kStreamRows, kOutputs>(call, m, o);
  }
  switch (call.rows - m) {
    case 3:
      return Bundle<Format, 3, kOutputs>(call, m, o);
    case 2:
      return Bundle<Format, 2, kOutputs>(call, m, o);
    case 1:
      return Bundle<Format, 1, kOutputs>(call, m, o);
    default:
      return;
  }
}

template <typename Format>
void Stream(const ProductCall& call) {
  int64_t o = call.begin;
  for (; o + kStreamOutputs <= call.end; o += kStreamOutputs) {
    AllRows<Format, kStreamOutputs>(call, o);
  }
  for (; o < call.end; ++o) AllRows<Format, 1>(call, o);
}

template <typename Format>
void Widen(const void* weight, int64_t begin, int64_t n, float* out) {
  const auto* w = static_cast<const typename Format::Element*>(weight) + begin;
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes) Store(out + k, Format::Get(w + k));
  if (k < n) StoreTail(out + k, Format::GetTail(w + k, n - k), n - k);
}

// One pass of a tile over the columns of a block. `x_rows` point at the block's first column.
struct TilePass {
  const float* x_rows[kTileRows];
  const float* panel;  // [groups of lanes, kTileOutputs, kLanes], zeros behind the last column
  int64_t cols;
  float* sums;  // [kTile, kLanes], between blocks
  bool first, last;
};

SKEIN_INLINE void TileStep(const float* panel, const Vec* inputs, Vec* sums) {
#pragma GCC unroll 6
  for (int64_t c = 0; c < kTileOutputs; ++c) {
    const Vec weights = Load(panel + c * kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < kTileRows; ++r) {
      sums[r * kTileOutputs + c] = Fma(weights, inputs[r], sums[r * kTileOutputs + c]);
    }
  }
}

// After the last block `totals` gets the sums over the lanes.
SKEIN_INLINE void RunTile(const TilePass& pass, float* totals) {
  Vec sums[kTileSums];
#pragma GCC unroll 32
  for (int64_t i = 0; i < kTileSums; ++i) {
    sums[i] = pass.first || i >= kTile ? Zero() : Load(pass.sums + i * kLanes);
  }
  Vec inputs[kTileRows];
  const float* panel = pass.panel;
  int64_t k = 0;
  for (; k + kLanes <= pass.cols; k += kLanes, panel += kTileOutputs * kLanes) {
#pragma GCC unroll 4
    for (int r = 0; r < kTileRows; ++r) inputs[r] = Load(pass.x_rows[r] + k);
    TileStep(panel, inputs, sums);
  }
  if (k < pass.cols) {
#pragma GCC unroll 4
    for (int r = 0; r < kTileRows; ++r) inputs[r] = LoadTail(pass.x_rows[r] + k, pass.cols - k);
    TileStep(panel, inputs, sums);
  }
  if (pass.last) {
    for (int i = 0; i < kTileSums; i += kLanes) Store(totals + i, SumEach(sums + i));
  } else {
#pragma GCC unroll 24
    for (int64_t i = 0; i < kTile; ++i) Store(pass.sums + i * kLanes, sums[i]);
  }
}

// Outputs [o, o_end), at most kTileOutputs, of all rows of a block.
class Panel {
 public:
  Panel(const ProductCall& call, int64_t o, int64_t o_end) : call_(call), o_(o), o_end_(o_end) {}

  void Run(int64_t m, int64_t m_end) {
    for (int64_t col = 0; col < call_.cols; col += kBlockCols) {
      const int64_t cols = MinOf(kBlockCols, call_.cols - col);
      WidenPanel(col, cols);
      TilePass pass;
      pass.panel = panel_;
      pass.cols = cols;
      pass.first = col == 0;
      pass.last = col + cols == call_.cols;
      for (int64_t row = m; row < m_end; row += kTileRows) {
        pass.sums = sums_ + (row - m) * kTileOutputs * kLanes;
        // Rows beyond the end repeat the last one; their sums are dropped.
        for (int64_t r = 0; r < kTileRows; ++r) {
          pass.x_rows[r] = call_.x + MinOf(row + r, m_end - 1) * call_.x_stride + col;
        }
        float totals[kTileSums];
        RunTile(pass, totals);
        if (pass.last) WriteTile(totals, row, MinOf(row + kTileRows, m_end));
      }
    }
  }

 private:
  void WidenPanel(int64_t col, int64_t cols) {
    for (int64_t c = 0; c < kTileOutputs; ++c) {
      const int64_t o = MinOf(o_ + c, o_end_ - 1);  // outputs beyond the end repeat the last one
      float* out = panel_ + c * kLanes;
      switch (call_.type) {
        case WeightType::kF32:
          WidenInto<F32>(o * call_.cols + col, cols, out);
          break;
        case WeightType::kBf16:
          WidenInto<Bf16>(o * call_.cols + col, cols, out);
          break;
        case WeightType::kF16:
          WidenInto<F16>(o * call_.cols + col, cols, out);
          break;
      }
    }
  }

  template <typename Format>
  void WidenInto(int64_t begin, int64_t cols, float* out) const {
    const auto* w = static_cast<const typename Format::Element*>(call_.weight) + begin;
    int64_t k = 0;
    for (; k + kLanes <= cols; k += kLanes, out += kTileOutputs * kLanes) {
      Store(out, Format::Get(w + k));
    }
    if (k < cols) Store(out, Format::GetTail(w + k, cols - k));
  }

  void WriteTile(const float* totals, int64_t row, int64_t row_end) {
    for (; row < row_end; ++row, totals += kTileOutputs) {
      float* y = call_.y + row * call_.y_stride;
      for (int64_t o = o_; o < o_end_; ++o) y[o] = totals[o - o_];
    }
  }

  const ProductCall& call_;
  const int64_t o_, o_end_;
  alignas(64) float panel_[kTileOutputs * kBlockCols];
  alignas(64) float sums_[kBlockRows * kTileOutputs * kLanes];
};

void Blocked(const ProductCall& call) {
  for (int64_t m = 0; m < call.rows; m += kBlockRows) {
    const int64_t m_end = MinOf(m + kBlockRows, call.rows);
    for (int64_t o = call.begin; o < call.end; o += kTileOutputs) {
      Panel(call, o, MinOf(o + kTileOutputs, call.end)).Run(m, m_end);
    }
  }
}

}  // namespace

void WidenRow(const void* weight, WeightType type, int64_t begin, int64_t n, float* out) {
  switch (type) {
    case WeightType::kF32:
      return Widen<F32>(weight, begin, n, out);
    case WeightType::kBf16:
      return Widen<Bf16>(weight, begin, n, out);
    case WeightType::kF16:
      return Widen<F16>(weight, begin, n, out);
  }
}

void Products(const ProductCall& call) {
  if (call.rows > kMaxStreamedRows) return Blocked(call);
  switch (call.type) {
    case WeightType::kF32:
      return Stream<F32>(call);
    case WeightType::kBf16:
      return Stream<Bf16>(call);
    case WeightType::kF16:
      return Stream<F16>(call);
  }
}

}  // namespace skein::SKEIN_ISA_NAMESPACE
