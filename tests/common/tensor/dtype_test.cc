#include "common/tensor/dtype.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace skein {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(DTypeTest, NamesComeBackAndSizesAreThoseOfTheFormats) {
  struct Case {
    DType dtype;
    const char* name;
    int64_t bytes;
  };
  for (const Case& c :
       {Case{DType::kF32, "F32", 4}, Case{DType::kF16, "F16", 2}, Case{DType::kBF16, "BF16", 2},
        Case{DType::kF64, "F64", 8}, Case{DType::kI64, "I64", 8}, Case{DType::kI32, "I32", 4},
        Case{DType::kI16, "I16", 2}, Case{DType::kI8, "I8", 1}, Case{DType::kU8, "U8", 1},
        Case{DType::kBool, "BOOL", 1}, Case{DType::kF8E4M3, "F8_E4M3", 1},
        Case{DType::kF8E5M2, "F8_E5M2", 1}}) {
    EXPECT_EQ(DTypeName(c.dtype), c.name);
    EXPECT_EQ(DTypeBytes(c.dtype), c.bytes);
    EXPECT_EQ(ParseDType(c.name), c.dtype);
  }
  EXPECT_EQ(ParseDType("F12"), std::nullopt);
  EXPECT_EQ(ParseDType("f32"), std::nullopt);
}

TEST(DTypeTest, EveryFp16ValueComesBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = Fp16ToFloat(static_cast<uint16_t>(bits));
    if ((bits & 0x7fff) > 0x7c00) {
      ASSERT_TRUE(std::isnan(value));
      ASSERT_TRUE(std::isnan(Fp16ToFloat(FloatToFp16(value))));
      continue;
    }
    ASSERT_EQ(FloatToFp16(value), bits);
  }
}

TEST(DTypeTest, EveryBf16ValueComesBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = Bf16ToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(value))));
      continue;
    }
    ASSERT_EQ(FloatToBf16(value), bits);
  }
}

TEST(DTypeTest, Fp16ValuesAreThoseOfTheFormat) {
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const int exponent = static_cast<int>(bits >> 10);
    const double fraction = bits & 0x3ff;
    const double value =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024.0 + fraction, exponent - 25);
    ASSERT_EQ(Fp16ToFloat(static_cast<uint16_t>(bits)), value);
    ASSERT_EQ(Fp16ToFloat(static_cast<uint16_t>(bits | 0x8000)), -value);
  }
  EXPECT_EQ(Fp16ToFloat(0x7c00), kInfinity);
  EXPECT_EQ(Fp16ToFloat(0xfc00), -kInfinity);
  EXPECT_TRUE(std::signbit(Fp16ToFloat(0x8000)));
}

// Of two neighbours the nearer one, of equals the even one; `top` is the first code that is not
// finite.
template <typename ToFloat, typename FromFloat>
void ExpectNearestEven(uint32_t top, ToFloat to_float, FromFloat from_float) {
  for (uint32_t low = 0; low + 1 < top; ++low) {
    const double a = to_float(static_cast<uint16_t>(low));
    const double b = to_float(static_cast<uint16_t>(low + 1));
    const auto middle =
        static_cast<float>((a + b) / 2);  // exact: fp32 has more fraction bits than both
    if (static_cast<double>(middle) != (a + b) / 2) continue;  // below fp32's own smallest step
    ASSERT_EQ(from_float(middle), low + (low & 1));
    ASSERT_EQ(from_float(std::nextafter(middle, kInfinity)), low + 1);
    ASSERT_EQ(from_float(std::nextafter(middle, -kInfinity)), low);
    ASSERT_EQ(from_float(-middle), (low + (low & 1)) | 0x8000);
  }
}

TEST(DTypeTest, Fp16RoundsToNearestEven) { ExpectNearestEven(0x7c00, Fp16ToFloat, FloatToFp16); }

TEST(DTypeTest, Bf16RoundsToNearestEven) { ExpectNearestEven(0x7f80, Bf16ToFloat, FloatToBf16); }

TEST(DTypeTest, WhatIsTooLargeBecomesInfinity) {
  EXPECT_EQ(FloatToFp16(65504.0f), 0x7bff);
  EXPECT_EQ(FloatToFp16(65519.99f), 0x7bff);
  EXPECT_EQ(FloatToFp16(65520.0f), 0x7c00);
  EXPECT_EQ(FloatToFp16(-1e30f), 0xfc00);
  EXPECT_EQ(FloatToFp16(kInfinity), 0x7c00);
  EXPECT_EQ(FloatToBf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(FloatToBf16(-kInfinity), 0xff80);
}

TEST(DTypeTest, NanStaysNanWhateverItsBits) {
  for (const uint32_t bits : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0xff800001u}) {
    EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::bit_cast<float>(bits)))));
    EXPECT_TRUE(std::isnan(Fp16ToFloat(FloatToFp16(std::bit_cast<float>(bits)))));
  }
}

}  // namespace
}  // namespace skein
