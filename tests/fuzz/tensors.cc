#include "tests/fuzz/tensors.h"

#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/ascii.h"

#include "tests/fuzz/fuzz.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "worker/weights/safetensors_file.h"

namespace skein::fuzz {
namespace {

constexpr int64_t kMaxCopiedBytes = 1 << 20;  // of one tensor: larger ones say nothing new

int64_t Bytes(const TensorEntry& entry) {
  return NumElements(entry.shape) * DTypeBytes(entry.dtype);
}

std::string Copied(const TensorEntry& entry) {
  std::string bytes(static_cast<size_t>(Bytes(entry)), '\0');
  CopyElements(entry, bytes.data());
  return bytes;
}

// Byte offset of the last element from the first.
int64_t Reach(const TensorEntry& entry) {
  int64_t reach = 0;
  for (size_t d = 0; d < entry.shape.size(); ++d) reach += (entry.shape[d] - 1) * entry.strides[d];
  return reach * DTypeBytes(entry.dtype);
}

void CheckPlace(const TensorEntry& entry, std::span<const std::byte> file) {
  if (NumElements(entry.shape) == 0) return;
  const int64_t end = entry.data - file.data() + Reach(entry) + DTypeBytes(entry.dtype);
  Require(entry.data >= file.data() && end <= static_cast<int64_t>(file.size()),
          "every element lies inside the file");
}

void CheckConversion(const TensorEntry& entry, const std::string& bytes) {
  std::vector<float> values(static_cast<size_t>(NumElements(entry.shape)));
  const absl::Status status =
      ConvertToFloat(entry.dtype, bytes.data(), static_cast<int64_t>(values.size()), values.data());
  if (!status.ok()) {
    RequireFailure(status, {absl::StatusCode::kInvalidArgument, absl::StatusCode::kUnimplemented});
  }
}

bool IsPlainName(absl::string_view name) {
  for (const char c : name) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c)) || c == '"' || c == '\\') return false;
  }
  return name != "__metadata__";
}

}  // namespace

void CheckTensors(const std::vector<NamedTensor>& tensors, std::span<const std::byte> file) {
  for (const NamedTensor& tensor : tensors) {
    const TensorEntry& entry = tensor.entry;
    Require(entry.shape.size() == entry.strides.size(), "as many strides as extents", tensor.name);
    CheckPlace(entry, file);
    if (Bytes(entry) > kMaxCopiedBytes) continue;
    const std::string bytes = Copied(entry);
    CheckConversion(entry, bytes);
    if (entry.shape.size() < 2) continue;
    Require(Copied(Transposed(Transposed(entry))) == bytes, "transposed twice is the same",
            tensor.name);
  }
}

void CheckRewritten(const std::vector<NamedTensor>& tensors) {
  std::vector<TestTensor> copies;
  std::set<std::string> names;
  int64_t total = 0;
  for (const NamedTensor& tensor : tensors) {
    total += Bytes(tensor.entry);
    if (total > kMaxCopiedBytes || !IsPlainName(tensor.name)) return;  // the writer escapes nothing
    if (!names.insert(tensor.name).second) return;
    copies.push_back({tensor.name, tensor.entry.dtype, tensor.entry.shape, Copied(tensor.entry)});
  }
  const std::string file = SafetensorsBytes(copies);
  const auto again =
      ReadSafetensors({reinterpret_cast<const std::byte*>(file.data()), file.size()});
  Require(again.ok(), "what is read can be written and read again", again.status().ToString());
  Require(again->size() == copies.size(), "as many tensors as were written");
  for (size_t i = 0; i < copies.size(); ++i) {
    const NamedTensor& tensor = (*again)[i];
    Require(tensor.name == copies[i].name && tensor.entry.shape == copies[i].shape &&
                tensor.entry.dtype == copies[i].dtype && Copied(tensor.entry) == copies[i].bytes,
            "a tensor that was written and read again is the same", tensor.name);
  }
}

}  // namespace skein::fuzz
