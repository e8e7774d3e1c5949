#include "worker/registry/tuned_state_record.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "common/base/status_macros.h"
#include "worker/weights/content_hash.h"
#include "worker/weights/model_files.h"

namespace skein {
namespace {

constexpr size_t kMaxListedKeys = 8;
constexpr size_t kMaxListedBytes = 100;  // of one key

std::string Listed(absl::string_view key) {
  const std::string text = absl::Utf8SafeCEscape(key.substr(0, kMaxListedBytes));
  return key.size() > kMaxListedBytes ? absl::StrCat(text, "...") : text;
}

absl::Status Wrong(const NamedTensor& tensor, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(Listed(tensor.name), ": ", what));
}

std::string UnusedKeys(const std::vector<std::string>& keys) {
  const size_t listed = std::min(keys.size(), kMaxListedKeys);
  std::string text = absl::StrCat(
      "not used: ", absl::StrJoin(keys.begin(), keys.begin() + static_cast<int64_t>(listed), ", "));
  if (keys.size() > listed) absl::StrAppend(&text, " and ", keys.size() - listed, " more");
  return text;
}

std::optional<TunedStatePart> PartOf(const StateField& field) {
  if (field.name == "wkv") return TunedStatePart::kTimeState;
  if (field.name == "shift_att") return TunedStatePart::kTimeMixShift;
  if (field.name == "shift_ffn") return TunedStatePart::kChannelShift;
  return std::nullopt;
}

using FieldOfKey = absl::btree_map<TunedStateKey, const StateField*>;

FieldOfKey IndexFields(const StateLayout& fields) {
  FieldOfKey index;
  for (const StateField& field : fields.fields) {
    const std::optional<TunedStatePart> part = PartOf(field);
    if (part.has_value()) index[{*part, field.layer}] = &field;
  }
  return index;
}

// Extents of 1 in front do not count.
absl::Status CheckShape(const NamedTensor& tensor, const Shape& expected) {
  const auto core = [](const Shape& shape) {
    const auto first = std::find_if(shape.begin(), shape.end(), [](int64_t n) { return n != 1; });
    return Shape(first, shape.end());
  };
  if (core(tensor.entry.shape) == core(expected)) return absl::OkStatus();
  return Wrong(tensor, absl::StrCat("shape ", ShapeString(tensor.entry.shape), ", expected ",
                                    ShapeString(expected)));
}

// As fp32, row-major. `transposed` exchanges the last two dimensions.
absl::StatusOr<std::vector<float>> ReadValues(const NamedTensor& tensor, const Shape& shape,
                                              bool transposed) {
  RETURN_IF_ERROR(CheckShape(tensor, shape));
  // A single element may have any rank.
  const bool matrix = transposed && tensor.entry.shape.size() >= 2;
  const TensorEntry entry = matrix ? Transposed(tensor.entry) : tensor.entry;
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  const absl::Status converted = ModelFiles::CopyFloat(entry, values.data());
  if (!converted.ok()) return Wrong(tensor, std::string(converted.message()));
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::DataLossError(
        absl::StrFormat("%s: holds %f, expected finite values", Listed(tensor.name), values[i]));
  }
  return values;
}

bool AllZero(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return value == 0.0f; });
}

absl::StatusOr<std::vector<float>> ReadOffset(const NamedTensor& tensor, const StateField& wkv) {
  return ReadValues(tensor, {wkv.shape[0] * wkv.shape[1]}, false);
}

// Beside time_offset_y, as trained in March 2025, time_offset is a factor of the block's output.
absl::Status CheckOffsets(const TunedStateEntries& entries, const FieldOfKey& fields) {
  const bool march = std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
    return entry.first.part == TunedStatePart::kTimeOffsetY;
  });
  for (const auto& [key, tensor] : entries) {
    if (key.part != TunedStatePart::kTimeOffset && key.part != TunedStatePart::kTimeOffsetY) {
      continue;
    }
    ASSIGN_OR_RETURN(const std::vector<float> values,
                     ReadOffset(*tensor, *fields.at({TunedStatePart::kTimeState, key.layer})));
    if (march && key.part == TunedStatePart::kTimeOffset && !AllZero(values)) {
      return Wrong(*tensor,
                   "scales the block's output beside time_offset_y, which is not supported");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEntry(const TunedStateKey& key, const NamedTensor& tensor,
                        const FieldOfKey& fields, int64_t num_layers) {
  if (key.layer >= num_layers) {
    return Wrong(tensor, absl::StrCat("the model has ", num_layers, " layers, the first is 0"));
  }
  const auto wkv = fields.find({TunedStatePart::kTimeState, key.layer});
  if (wkv == fields.end()) {
    return Wrong(tensor, absl::StrCat("layer ", key.layer,
                                      " of the model is not an RWKV layer and has no such state"));
  }
  switch (key.part) {
    case TunedStatePart::kTimeOffset:
    case TunedStatePart::kTimeOffsetY:
      return absl::OkStatus();
    case TunedStatePart::kTimeOffset2:
      return Wrong(tensor, "time_offset2, an offset of the a-gate, is not supported");
    default:
      if (fields.contains(key)) return absl::OkStatus();
      return Wrong(tensor, absl::StrCat("layer ", key.layer, " of the model has no token shift"));
  }
}

absl::Status CheckComplete(const TunedStateEntries& entries, const FieldOfKey& fields) {
  int64_t wanted = 0;
  int64_t present = 0;
  const TunedStateKey* missing = nullptr;
  for (const auto& [key, field] : fields) {
    if (key.part != TunedStatePart::kTimeState) continue;
    ++wanted;
    if (entries.contains(key)) {
      ++present;
    } else if (missing == nullptr) {
      missing = &key;
    }
  }
  if (missing == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(TunedStateKeyName(*missing), " is missing: ", present, " of the model's ",
                   wanted, " RWKV layers have an entry, expected all"));
}

absl::Status Store(const StateField& field, const TunedStateEntries& entries,
                   const std::vector<float>& values, std::byte* record) {
  std::byte* const to = record + field.offset;
  if (field.dtype == DType::kF32) {
    std::memcpy(to, values.data(), values.size() * sizeof(float));
    return absl::OkStatus();
  }
  if (field.dtype != DType::kF16) {
    return absl::InternalError(absl::StrCat("state field ", field.name, " of type ",
                                            DTypeName(field.dtype), ", expected F32 or F16"));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = FloatToFp16(values[i]);
    if (!std::isfinite(Fp16ToFloat(half))) {
      return Wrong(*entries.at({*PartOf(field), field.layer}),
                   absl::StrFormat("holds %g, which the states of this worker, kept in fp16, "
                                   "cannot; keep them in fp32",
                                   values[i]));
    }
    std::memcpy(to + i * sizeof(half), &half, sizeof(half));
  }
  return absl::OkStatus();
}

// 1 + offset for each layer that has one other than zeros; null if none has. CheckOffsets holds.
absl::StatusOr<std::unique_ptr<const WkvFactors>> BuildFactors(const TunedStateEntries& entries,
                                                               const StateLayout& fields,
                                                               uint64_t& hash) {
  auto factors = std::make_unique<WkvFactors>();
  for (const StateField& field : fields.fields) {
    factors->layers.resize(std::max<size_t>(factors->layers.size(), field.layer + 1));
  }
  bool any = false;
  for (const auto& [key, field] : IndexFields(fields)) {
    if (key.part != TunedStatePart::kTimeState) continue;
    for (const TunedStatePart part : {TunedStatePart::kTimeOffset, TunedStatePart::kTimeOffsetY}) {
      const auto entry = entries.find({part, key.layer});
      if (entry == entries.end()) continue;
      ASSIGN_OR_RETURN(std::vector<float> values, ReadOffset(*entry->second, *field));
      if (AllZero(values)) continue;
      any = true;
      for (float& value : values) value += 1;
      hash = ContentHash(&key.layer, sizeof key.layer, hash);
      hash = ContentHash(values.data(), values.size() * sizeof(float), hash);
      factors->layers[key.layer] = std::move(values);
    }
  }
  if (!any) return nullptr;
  return factors;
}

}  // namespace

absl::StatusOr<TunedStateEntries> SortTunedState(std::span<const NamedTensor> tensors,
                                                 std::vector<std::string>& warnings) {
  TunedStateEntries entries;
  std::vector<std::string> unused;
  for (const NamedTensor& tensor : tensors) {
    const std::optional<TunedStateKey> key = ParseTunedStateKey(tensor.name);
    if (!key.has_value()) {
      unused.push_back(Listed(tensor.name));
      continue;
    }
    const auto [place, inserted] = entries.emplace(*key, &tensor);
    if (!inserted) {
      return Wrong(tensor, absl::StrCat("is the same entry as ", Listed(place->second->name)));
    }
  }
  const bool any = std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
    return entry.first.part == TunedStatePart::kTimeState;
  });
  if (!any) {
    return absl::InvalidArgumentError(
        absl::StrCat("holds no tuned state: no key is like blocks.0.att.time_state, the first is ",
                     tensors.empty() ? "missing" : Listed(tensors.front().name)));
  }
  if (!unused.empty()) warnings.push_back(UnusedKeys(unused));
  return entries;
}

absl::Status CheckTunedState(const TunedStateEntries& entries, const ModelDescription& model,
                             const StateLayout& fields) {
  const FieldOfKey index = IndexFields(fields);
  for (const auto& [key, tensor] : entries) {
    RETURN_IF_ERROR(CheckEntry(key, *tensor, index, model.num_layers));
  }
  RETURN_IF_ERROR(CheckOffsets(entries, index));
  return CheckComplete(entries, index);
}

absl::StatusOr<StateRecord> BuildStateRecord(const TunedStateEntries& entries, bool key_value,
                                             const StateLayout& fields) {
  StateRecord record;
  const auto bytes = static_cast<size_t>(fields.bytes);
  ASSIGN_OR_RETURN(record.memory, Arena::Create(bytes));
  ASSIGN_OR_RETURN(void* const memory, record.memory->Allocate(bytes));
  std::memset(memory, 0, bytes);
  uint64_t hash = 0;
  for (const StateField& field : fields.fields) {
    const std::optional<TunedStatePart> part = PartOf(field);
    if (!part.has_value()) continue;
    std::vector<float> values(static_cast<size_t>(NumElements(field.shape)));
    const auto entry = entries.find({*part, field.layer});
    if (entry != entries.end()) {
      const bool transposed = key_value && *part == TunedStatePart::kTimeState;
      ASSIGN_OR_RETURN(values, ReadValues(*entry->second, field.shape, transposed));
      RETURN_IF_ERROR(Store(field, entries, values, static_cast<std::byte*>(memory)));
    }
    hash = ContentHash(values.data(), values.size() * sizeof(float), hash);
  }
  ASSIGN_OR_RETURN(record.factors, BuildFactors(entries, fields, hash));
  record.content_hash = absl::StrFormat("%016x", hash);
  return record;
}

}  // namespace skein
