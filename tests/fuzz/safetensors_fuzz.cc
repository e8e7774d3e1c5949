// A .safetensors file, or the index of several: weights, tuned states and adapters come in them.
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tensors.h"
#include "worker/weights/safetensors_file.h"

namespace {

using skein::fuzz::RequireFailure;
using skein::fuzz::Text;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  const auto tensors = skein::ReadSafetensors(file);
  if (tensors.ok()) {
    skein::fuzz::CheckTensors(*tensors, file);
    skein::fuzz::CheckRewritten(*tensors);
    return 0;
  }
  RequireFailure(tensors.status(), {absl::StatusCode::kDataLoss});
  const auto index = skein::ReadSafetensorsIndex(Text(data, size));
  if (!index.ok()) RequireFailure(index.status(), {absl::StatusCode::kDataLoss});
  return 0;
}
