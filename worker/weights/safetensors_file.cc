#include "worker/weights/safetensors_file.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/weights/json_events.h"

namespace skein {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxTensors = 100'000;
constexpr int kMaxDepth = 8;
constexpr size_t kLengthBytes = 8;
constexpr char kMetadata[] = "__metadata__";

std::string Quoted(absl::string_view name) {
  return absl::StrCat("tensor \"", absl::Utf8SafeCEscape(name), "\"");
}

// One tensor as the header describes it.
struct Description {
  std::string name;
  std::optional<DType> dtype;
  std::optional<Shape> shape;
  std::optional<Shape> offsets;  // [begin, end)
};

// Follows the header's events. Depth 1: tensor names; 2: their fields; 3: the numbers of a list.
class HeaderReader {
 public:
  absl::Status Visit(const JsonEvent& event) {
    switch (event.depth) {
      case 0:
        return VisitTop(event);
      case 1:
        return VisitTensor(event);
      case 2:
        return in_metadata_ ? VisitMetadata(event) : VisitField(event);
      default:
        return VisitListItem(event);
    }
  }
  std::vector<Description> Take() { return std::move(tensors_); }

 private:
  absl::Status VisitTop(const JsonEvent& event) {
    if (event.kind == JsonEvent::kBeginObject || event.kind == JsonEvent::kEndObject) {
      return absl::OkStatus();
    }
    return absl::DataLossError("its top is not an object");
  }

  absl::Status VisitTensor(const JsonEvent& event) {
    if (event.kind == JsonEvent::kKey) {
      in_metadata_ = event.text == kMetadata;
      if (in_metadata_) return absl::OkStatus();
      if (tensors_.size() == kMaxTensors) {
        return absl::DataLossError(absl::StrCat("more than ", kMaxTensors, " tensors"));
      }
      tensors_.push_back({std::string(event.text), {}, {}, {}});
      return absl::OkStatus();
    }
    if (event.kind == JsonEvent::kBeginObject) return absl::OkStatus();
    if (event.kind == JsonEvent::kEndObject) return in_metadata_ ? absl::OkStatus() : Complete();
    return Wrong(in_metadata_ ? std::string(kMetadata) : Quoted(tensors_.back().name),
                 "is not a JSON object");
  }

  absl::Status VisitMetadata(const JsonEvent& event) {
    if (event.kind == JsonEvent::kKey || event.kind == JsonEvent::kString) return absl::OkStatus();
    return Wrong(kMetadata, "holds a value that is not a string");
  }

  absl::Status VisitField(const JsonEvent& event) {
    Description& tensor = tensors_.back();
    if (event.kind == JsonEvent::kKey) {
      field_ = std::string(event.text);
      if (field_ == "dtype" || field_ == "shape" || field_ == "data_offsets") {
        return absl::OkStatus();
      }
      return WrongField("is not a known field");
    }
    if (field_ == "dtype") {
      if (event.kind != JsonEvent::kString) return WrongField("is not a string");
      tensor.dtype = ParseDType(event.text);
      if (tensor.dtype.has_value()) return absl::OkStatus();
      return WrongField(
          absl::StrCat("\"", absl::Utf8SafeCEscape(event.text), "\" is not a known type"));
    }
    if (event.kind == JsonEvent::kEndArray) return absl::OkStatus();
    if (event.kind != JsonEvent::kBeginArray) return WrongField("is not a list");
    (field_ == "shape" ? tensor.shape : tensor.offsets).emplace();
    return absl::OkStatus();
  }

  absl::Status VisitListItem(const JsonEvent& event) {
    if (event.kind != JsonEvent::kInteger) {
      return WrongField("holds something that is not an integer of 64 bits");
    }
    Description& tensor = tensors_.back();
    Shape& list = field_ == "shape" ? *tensor.shape : *tensor.offsets;
    if (list.size() == kMaxRank) return WrongField(absl::StrCat("has over ", kMaxRank, " items"));
    list.push_back(event.number);
    return absl::OkStatus();
  }

  absl::Status Complete() const {
    const Description& tensor = tensors_.back();
    if (!tensor.dtype.has_value()) return Wrong(Quoted(tensor.name), "has no dtype");
    if (!tensor.shape.has_value()) return Wrong(Quoted(tensor.name), "has no shape");
    if (!tensor.offsets.has_value() || tensor.offsets->size() != 2) {
      return Wrong(Quoted(tensor.name), "has no pair of data_offsets");
    }
    return absl::OkStatus();
  }

  static absl::Status Wrong(absl::string_view subject, absl::string_view what) {
    return absl::DataLossError(absl::StrCat(subject, " ", what));
  }
  absl::Status WrongField(absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(Quoted(tensors_.back().name), ": field \"",
                                            absl::Utf8SafeCEscape(field_), "\" ", what));
  }

  std::vector<Description> tensors_;
  std::string field_;
  bool in_metadata_ = false;
};

absl::StatusOr<absl::string_view> HeaderText(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) {
    return absl::DataLossError(
        absl::StrCat("file of ", file.size(), " bytes is too short for a safetensors header"));
  }
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length |= std::to_integer<uint64_t>(file[i]) << (8 * i);
  }
  if (length > kMaxHeaderBytes || length > file.size() - kLengthBytes) {
    return absl::DataLossError(
        absl::StrCat("header length ", length, " at byte 0, expected at most ",
                     std::min<uint64_t>(kMaxHeaderBytes, file.size() - kLengthBytes)));
  }
  return absl::string_view(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
}

// Checks one description against itself and the data that follow the header.
absl::StatusOr<TensorEntry> MakeEntry(const Description& tensor, std::span<const std::byte> data) {
  const int64_t begin = (*tensor.offsets)[0];
  const int64_t end = (*tensor.offsets)[1];
  const int64_t size = static_cast<int64_t>(data.size());
  if (begin < 0 || begin > end || end > size) {
    return absl::DataLossError(absl::StrCat(Quoted(tensor.name), ": data_offsets [", begin, ", ",
                                            end, "], expected a range within ", size, " bytes"));
  }
  absl::StatusOr<int64_t> elements = CheckedElements(*tensor.shape);
  if (!elements.ok()) {
    return absl::DataLossError(
        absl::StrCat(Quoted(tensor.name), ": ", std::string(elements.status().message())));
  }
  const int64_t bytes = *elements * DTypeBytes(*tensor.dtype);
  if (end - begin != bytes) {
    return absl::DataLossError(absl::StrCat(
        Quoted(tensor.name), ": data_offsets span ", end - begin, " bytes, but shape ",
        ShapeString(*tensor.shape), " of ", DTypeName(*tensor.dtype), " needs ", bytes));
  }
  return TensorEntry{*tensor.dtype, *tensor.shape, RowMajorStrides(*tensor.shape),
                     data.data() + begin, true};
}

// The format has no gaps: sorted by (begin, end) each tensor starts where the one before it ends.
absl::Status CheckTiling(const std::vector<Description>& tensors, int64_t data_bytes) {
  std::vector<const Description*> sorted;
  sorted.reserve(tensors.size());
  for (const Description& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(),
            [](const Description* a, const Description* b) { return *a->offsets < *b->offsets; });
  int64_t position = 0;
  for (const Description* tensor : sorted) {
    const int64_t begin = (*tensor->offsets)[0];
    if (begin != position) {
      return absl::DataLossError(absl::StrCat(
          Quoted(tensor->name), ": starts at data byte ", begin, ", ",
          begin < position ? "inside another tensor" : "after a gap", "; expected ", position));
    }
    position = (*tensor->offsets)[1];
  }
  if (position != data_bytes) {
    return absl::DataLossError(absl::StrCat("tensors end at data byte ", position, " of ",
                                            data_bytes, "; the rest belongs to none"));
  }
  return absl::OkStatus();
}

absl::Status CheckShardName(absl::string_view tensor, absl::string_view file) {
  const bool plain = file.find_first_of(absl::string_view("/\\\0", 3)) == absl::string_view::npos &&
                     !absl::StartsWith(file, ".") && absl::EndsWith(file, ".safetensors");
  if (plain) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(Quoted(tensor), ": file \"", absl::Utf8SafeCEscape(file),
                                          "\", expected a plain name ending in .safetensors"));
}

}  // namespace

absl::StatusOr<std::vector<NamedTensor>> ReadSafetensors(std::span<const std::byte> file) {
  ASSIGN_OR_RETURN(const absl::string_view header, HeaderText(file));
  HeaderReader reader;
  absl::Status parsed = ParseJsonEvents(
      header, kMaxDepth, [&](const JsonEvent& event) { return reader.Visit(event); });
  if (!parsed.ok()) {
    return absl::DataLossError(absl::StrCat("safetensors header: ", std::string(parsed.message())));
  }
  const std::vector<Description> tensors = reader.Take();
  const std::span<const std::byte> data = file.subspan(kLengthBytes + header.size());
  std::vector<NamedTensor> result;
  result.reserve(tensors.size());
  for (const Description& tensor : tensors) {
    ASSIGN_OR_RETURN(TensorEntry entry, MakeEntry(tensor, data));
    result.push_back({tensor.name, std::move(entry)});
  }
  RETURN_IF_ERROR(CheckTiling(tensors, static_cast<int64_t>(data.size())));
  return result;
}

absl::StatusOr<absl::btree_map<std::string, std::string>> ReadSafetensorsMetadata(
    std::span<const std::byte> file) {
  ASSIGN_OR_RETURN(const absl::string_view header, HeaderText(file));
  absl::btree_map<std::string, std::string> metadata;
  bool inside = false;
  std::string key;
  const auto visit = [&](const JsonEvent& event) {
    const bool is_key = event.kind == JsonEvent::kKey;
    if (event.depth == 1 && is_key) inside = event.text == kMetadata;
    if (event.depth != 2 || !inside) return absl::OkStatus();
    if (is_key) key = std::string(event.text);
    if (event.kind == JsonEvent::kString) metadata[key] = std::string(event.text);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ParseJsonEvents(header, kMaxDepth, visit));
  return metadata;
}

absl::StatusOr<absl::btree_map<std::string, std::string>> ReadSafetensorsIndex(
    absl::string_view text) {
  absl::btree_map<std::string, std::string> files;
  std::string section;
  std::string tensor;
  bool found = false;
  const auto visit = [&](const JsonEvent& event) -> absl::Status {
    if (event.depth == 0 && event.kind != JsonEvent::kBeginObject &&
        event.kind != JsonEvent::kEndObject) {
      return absl::DataLossError("index is not a JSON object");
    }
    if (event.depth == 1 && event.kind == JsonEvent::kKey) section = std::string(event.text);
    if (section != "weight_map" || event.depth == 0) return absl::OkStatus();
    found = found || event.kind == JsonEvent::kBeginObject;
    if (event.depth == 1 && event.kind != JsonEvent::kBeginObject &&
        event.kind != JsonEvent::kEndObject && event.kind != JsonEvent::kKey) {
      return absl::DataLossError("weight_map is not a JSON object");
    }
    if (event.depth < 2) return absl::OkStatus();
    if (event.kind == JsonEvent::kKey) {
      tensor = std::string(event.text);
      return absl::OkStatus();
    }
    if (event.kind != JsonEvent::kString) {
      return absl::DataLossError(absl::StrCat(Quoted(tensor), ": file is not a string"));
    }
    files[tensor] = std::string(event.text);
    return CheckShardName(tensor, event.text);
  };
  RETURN_IF_ERROR(ParseJsonEvents(text, kMaxDepth, visit));
  if (!found) return absl::DataLossError("index has no weight_map");
  return files;
}

}  // namespace skein
