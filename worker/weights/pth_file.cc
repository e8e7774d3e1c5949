#include "worker/weights/pth_file.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "worker/weights/pickle_reader.h"
#include "worker/weights/zip_archive.h"

namespace skein {
namespace {

constexpr char kPickleName[] = "/data.pkl";
constexpr size_t kMaxKeyBytes = 256;
// Views may name the same bytes many times. This much more than the file is enough for any real
// model.
constexpr int64_t kMaxExpansion = 4;
constexpr int64_t kFreeExpansionBytes = 16 << 20;

absl::string_view AsText(std::span<const std::byte> bytes) {
  return absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// The folder that all entries are in, with a slash at its end.
absl::StatusOr<std::string> FindFolder(const ZipArchive& archive) {
  std::string folder;
  for (const auto& [name, content] : archive.entries()) {
    absl::string_view prefix = name;
    if (!absl::ConsumeSuffix(&prefix, kPickleName)) continue;
    if (!folder.empty()) return absl::DataLossError("zip archive has several data.pkl");
    folder = absl::StrCat(prefix, "/");
  }
  if (folder.empty()) return absl::DataLossError("zip archive has no data.pkl in a folder");
  for (const auto& [name, content] : archive.entries()) {
    if (!absl::StartsWith(name, folder)) {
      return absl::DataLossError(absl::StrCat("zip entry \"", absl::Utf8SafeCEscape(name),
                                              "\" is outside the folder \"",
                                              absl::Utf8SafeCEscape(folder), "\""));
    }
  }
  return folder;
}

absl::Status CheckByteOrder(const ZipArchive& archive, const std::string& folder) {
  const auto entry = archive.entries().find(absl::StrCat(folder, "byteorder"));
  if (entry == archive.entries().end() || AsText(entry->second) == "little") {
    return absl::OkStatus();
  }
  return absl::UnimplementedError(
      absl::StrCat("byteorder \"", absl::Utf8SafeCEscape(AsText(entry->second).substr(0, 16)),
                   "\", expected \"little\""));
}

// The storage of `tensor`, at least as large as it says.
absl::StatusOr<std::span<const std::byte>> FindStorage(const ZipArchive& archive,
                                                       const std::string& folder,
                                                       const PickledTensor& tensor) {
  const absl::string_view key = tensor.storage_key;
  const auto entry = key.size() <= kMaxKeyBytes
                         ? archive.entries().find(absl::StrCat(folder, "data/", key))
                         : archive.entries().end();
  if (entry == archive.entries().end()) {
    return absl::DataLossError(absl::StrCat("storage \"",
                                            absl::Utf8SafeCEscape(key.substr(0, kMaxKeyBytes)),
                                            "\" is not in the archive"));
  }
  const int64_t present = static_cast<int64_t>(entry->second.size()) / DTypeBytes(tensor.dtype);
  if (tensor.storage_elements > present) {
    return absl::DataLossError(absl::StrCat("storage \"", key, "\" has ", present, " elements of ",
                                            DTypeName(tensor.dtype), ", expected ",
                                            tensor.storage_elements));
  }
  return entry->second;
}

// That each element lies inside the storage.
absl::Status CheckBounds(const PickledTensor& tensor) {
  if (tensor.offset < 0 || std::any_of(tensor.strides.begin(), tensor.strides.end(),
                                       [](int64_t stride) { return stride < 0; })) {
    return absl::DataLossError(absl::StrCat("offset ", tensor.offset, " and stride ",
                                            ShapeString(tensor.strides),
                                            ", expected no negative numbers"));
  }
  int64_t last = tensor.offset;
  for (size_t d = 0; d < tensor.sizes.size(); ++d) {
    if (tensor.sizes[d] == 0) return absl::OkStatus();
    int64_t reach = 0;
    if (__builtin_mul_overflow(tensor.sizes[d] - 1, tensor.strides[d], &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      last = tensor.storage_elements;
      break;
    }
  }
  if (last < tensor.storage_elements) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("shape ", ShapeString(tensor.sizes), " with stride ",
                                          ShapeString(tensor.strides), " at offset ", tensor.offset,
                                          " reaches beyond storage \"", tensor.storage_key,
                                          "\" of ", tensor.storage_elements, " elements"));
}

absl::StatusOr<TensorEntry> MakeEntry(const ZipArchive& archive, const std::string& folder,
                                      const PickledTensor& tensor) {
  ASSIGN_OR_RETURN(const int64_t elements, CheckedElements(tensor.sizes));
  ASSIGN_OR_RETURN(const std::span<const std::byte> storage, FindStorage(archive, folder, tensor));
  RETURN_IF_ERROR(CheckBounds(tensor));
  TensorEntry entry{tensor.dtype, tensor.sizes, tensor.strides, storage.data(),
                    IsRowMajor(tensor.sizes, tensor.strides)};
  // An empty tensor may have any offset; no byte of it is ever read.
  if (elements > 0) entry.data += tensor.offset * DTypeBytes(tensor.dtype);
  return entry;
}

absl::Status CheckFormat(std::span<const std::byte> file) {
  const absl::string_view text = AsText(file.subspan(0, std::min<size_t>(file.size(), 3)));
  if (text == "\x80\x02\x8a") {
    return absl::UnimplementedError(
        "file of torch before version 1.6; load it there and torch.save it again");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<NamedTensor>> ReadPth(std::span<const std::byte> file) {
  RETURN_IF_ERROR(CheckFormat(file));
  ASSIGN_OR_RETURN(const ZipArchive archive, ZipArchive::Open(file));
  ASSIGN_OR_RETURN(const std::string folder, FindFolder(archive));
  RETURN_IF_ERROR(CheckByteOrder(archive, folder));
  const std::span<const std::byte> pickle =
      archive.entries().find(absl::StrCat(folder, "data.pkl"))->second;
  ASSIGN_OR_RETURN(const std::vector<PickledTensor> tensors, ReadPickle(pickle));

  int64_t budget = static_cast<int64_t>(file.size()) * kMaxExpansion + kFreeExpansionBytes;
  std::vector<NamedTensor> result;
  result.reserve(tensors.size());
  for (const PickledTensor& tensor : tensors) {
    absl::StatusOr<TensorEntry> entry = MakeEntry(archive, folder, tensor);
    if (entry.ok()) {
      budget -= NumElements(entry->shape) * DTypeBytes(entry->dtype);
      if (budget < 0) entry = absl::DataLossError("tensors are far larger than the file together");
    }
    if (!entry.ok()) {
      return absl::DataLossError(absl::StrCat("tensor \"", absl::Utf8SafeCEscape(tensor.name),
                                              "\": ", std::string(entry.status().message())));
    }
    result.push_back({std::string(tensor.name), *std::move(entry)});
  }
  return result;
}

}  // namespace skein
