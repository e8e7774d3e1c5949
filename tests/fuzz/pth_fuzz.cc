// A file of torch.save: the zip archive, its pickle, and the views that this describes.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tensors.h"
#include "worker/weights/pth_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  const auto tensors = skein::ReadPth(file);
  if (!tensors.ok()) {
    skein::fuzz::RequireFailure(tensors.status(),
                                {absl::StatusCode::kDataLoss, absl::StatusCode::kUnimplemented});
    return 0;
  }
  skein::fuzz::CheckTensors(*tensors, file);
  skein::fuzz::CheckRewritten(*tensors);
  return 0;
}
