// The data.pkl of a torch file by itself, so that the fuzzer need not keep a zip archive whole.
// What it describes is then looked for in an archive with one storage.
#include <string>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tensors.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "worker/weights/pickle_reader.h"
#include "worker/weights/pth_file.h"

namespace {

using skein::fuzz::Require;
using skein::fuzz::RequireFailure;
using skein::fuzz::Text;

bool Inside(absl::string_view part, absl::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tensors = skein::ReadPickle({reinterpret_cast<const std::byte*>(data), size});
  if (!tensors.ok()) {
    RequireFailure(tensors.status(), {absl::StatusCode::kDataLoss});
    return 0;
  }
  for (const skein::PickledTensor& tensor : *tensors) {
    Require(Inside(tensor.name, Text(data, size)), "names point into the pickle");
    Require(Inside(tensor.storage_key, Text(data, size)), "storage keys point into the pickle");
  }
  const std::string file = skein::PthBytes(Text(data, size), std::string(64, '\x3f'));
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(file.data()),
                                         file.size());
  const auto opened = skein::ReadPth(bytes);
  if (!opened.ok()) {
    RequireFailure(opened.status(), {absl::StatusCode::kDataLoss});
    return 0;
  }
  skein::fuzz::CheckTensors(*opened, bytes);
  return 0;
}
