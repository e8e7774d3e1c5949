#include "worker/weights/tensor_entry.h"

#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "worker/weights/content_hash.h"

namespace skein {
namespace {

TEST(TensorEntryTest, CountsElementsWithinLimits) {
  struct Case {
    Shape shape;
    int64_t elements;  // -1: refused
  };
  for (const Case& c :
       {Case{{}, 1}, Case{{3, 4}, 12}, Case{{0, 4}, 0}, Case{{-1}, -1}, Case{{0, -1}, -1},
        Case{{int64_t{1} << 36}, int64_t{1} << 36}, Case{{(int64_t{1} << 36) + 1}, -1},
        Case{{int64_t{1} << 33, int64_t{1} << 31}, -1},
        Case{{0, int64_t{1} << 33, int64_t{1} << 31}, -1}, Case{{1, 1, 1, 1, 1, 1, 1, 2}, 2},
        Case{{1, 1, 1, 1, 1, 1, 1, 1, 2}, -1}}) {
    SCOPED_TRACE(ShapeString(c.shape));
    const absl::StatusOr<int64_t> elements = CheckedElements(c.shape);
    EXPECT_EQ(elements.value_or(-1), c.elements);
  }
}

TEST(TensorEntryTest, KnowsRowMajorStrides) {
  struct Case {
    Shape shape, strides;
    bool row_major;
  };
  for (const Case& c :
       {Case{{3, 4}, {4, 1}, true}, Case{{3, 4}, {1, 3}, false}, Case{{1, 4}, {99, 1}, true},
        Case{{3, 1}, {1, 99}, true}, Case{{3, 1}, {4, 1}, false}, Case{{2, 3}, {0, 1}, false},
        Case{{0, 3}, {7, 7}, true}, Case{{}, {}, true}}) {
    SCOPED_TRACE(ShapeString(c.shape) + ShapeString(c.strides));
    EXPECT_EQ(IsRowMajor(c.shape, c.strides), c.row_major);
    EXPECT_TRUE(IsRowMajor(c.shape, RowMajorStrides(c.shape)));
  }
}

// Against the definition: element [i, j, k] is at sum of index times stride.
template <typename T>
void CheckStridedCopies(DType dtype, std::mt19937& random) {
  std::vector<T> storage(4096);
  std::iota(storage.begin(), storage.end(), T{1});
  std::uniform_int_distribution<int64_t> extent(1, 9), stride(0, 40), offset(0, 64);
  for (int round = 0; round < 200; ++round) {
    TensorEntry entry{dtype,
                      {extent(random), extent(random), extent(random)},
                      {stride(random), stride(random), stride(random)},
                      reinterpret_cast<const std::byte*>(storage.data() + offset(random)),
                      false};
    std::vector<T> actual(NumElements(entry.shape));
    CopyElements(entry, actual.data());
    size_t at = 0;
    for (int64_t i = 0; i < entry.shape[0]; ++i) {
      for (int64_t j = 0; j < entry.shape[1]; ++j) {
        for (int64_t k = 0; k < entry.shape[2]; ++k) {
          T expected;
          const int64_t place = i * entry.strides[0] + j * entry.strides[1] + k * entry.strides[2];
          std::memcpy(&expected, entry.data + place * static_cast<int64_t>(sizeof(T)), sizeof(T));
          ASSERT_EQ(actual[at++], expected)
              << ShapeString(entry.shape) << ShapeString(entry.strides);
        }
      }
    }
  }
}

TEST(TensorEntryTest, CopiesAnyStridesOfAnySize) {
  std::mt19937 random(7);
  CheckStridedCopies<uint8_t>(DType::kU8, random);
  CheckStridedCopies<uint16_t>(DType::kBF16, random);
  CheckStridedCopies<float>(DType::kF32, random);
  CheckStridedCopies<int64_t>(DType::kI64, random);
}

TEST(TensorEntryTest, TransposesBeyondOneBlock) {
  constexpr int64_t kRows = 200, kCols = 131;
  std::vector<uint16_t> values(kRows * kCols);
  std::iota(values.begin(), values.end(), uint16_t{0});
  const TensorEntry entry{DType::kBF16,
                          {kRows, kCols},
                          {kCols, 1},
                          reinterpret_cast<const std::byte*>(values.data()),
                          true};
  const TensorEntry turned = Transposed(entry);
  EXPECT_FALSE(turned.contiguous);
  std::vector<uint16_t> actual(values.size());
  CopyElements(turned, actual.data());
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t col = 0; col < kCols; ++col) {
      ASSERT_EQ(actual[col * kRows + row], values[row * kCols + col]);
    }
  }
  EXPECT_TRUE(Transposed(turned).contiguous);
}

TEST(TensorEntryTest, ConvertsUnalignedValuesToFloat) {
  const double in[] = {0.5, -3.0};
  std::vector<std::byte> shifted(sizeof(in) + 1);
  std::memcpy(shifted.data() + 1, in, sizeof(in));
  float out[2];
  ASSERT_TRUE(ConvertToFloat(DType::kF64, shifted.data() + 1, 2, out).ok());
  EXPECT_EQ(out[0], 0.5f);
  EXPECT_EQ(out[1], -3.0f);
  const uint16_t bf16[] = {0x3f80, 0xc040};
  ASSERT_TRUE(ConvertToFloat(DType::kBF16, bf16, 2, out).ok());
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -3.0f);
  EXPECT_EQ(ConvertToFloat(DType::kI32, in, 1, out).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ConvertToFloat(DType::kF8E4M3, in, 1, out).code(), absl::StatusCode::kUnimplemented);
}

TEST(ContentHashTest, ChangesWithEachBitAndLength) {
  std::vector<uint64_t> seen;
  for (size_t bytes : {0, 1, 7, 8, 63, 64, 65, 200}) {
    std::string text(bytes, '\0');
    seen.push_back(ContentHash(text, 0));
    seen.push_back(ContentHash(text, 1));
    for (size_t bit = 0; bit < 8 * bytes; ++bit) {
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
      seen.push_back(ContentHash(text, 0));
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    }
  }
  const size_t total = seen.size();
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_EQ(seen.size(), total);
}

}  // namespace
}  // namespace skein
