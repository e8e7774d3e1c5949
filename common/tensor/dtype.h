// Element types of tensors, in files and in memory.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace skein {

enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  kF8E4M3,
  kF8E5M2,
};

int64_t DTypeBytes(DType dtype);
// "F32", "BF16", ...: the spelling of safetensors.
absl::string_view DTypeName(DType dtype);
std::optional<DType> ParseDType(absl::string_view name);

// Bits to fp32. fp16 subnormals, infinities and NaNs are kept.
float Bf16ToFloat(uint16_t bits);
float Fp16ToFloat(uint16_t bits);
// Round to nearest even. Values beyond fp16's range become infinity.
uint16_t FloatToBf16(float value);
uint16_t FloatToFp16(float value);

}  // namespace skein
