#include "worker/weights/weight_loader.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/weights/content_hash.h"
#include "worker/weights/converted_tensor.h"
#include "worker/weights/mapped_file.h"
#include "worker/weights/weight_upload.h"

namespace skein {
namespace {

// Hashed while it is in the second-level cache.
constexpr int64_t kPieceBytes = 256 << 10;
constexpr int64_t kPrefetchBytes = 16 << 20;
constexpr int64_t kProgressBytes = 16 << 20;
constexpr size_t kMaxDifferences = 100;

// Whether `text` fits `pattern`, in which '*' stands for any characters and '?' for one.
bool Fits(absl::string_view pattern, absl::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = absl::string_view::npos;  // the last one met, and the text it was tried up to
  size_t tried = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      tried = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      t = ++tried;
    } else {
      return false;
    }
  }
  return std::all_of(pattern.begin() + static_cast<ptrdiff_t>(p), pattern.end(),
                     [](char c) { return c == '*'; });
}

Shape WithoutLeadingOnes(const Shape& shape) {
  const auto first =
      std::find_if(shape.begin(), shape.end(), [](int64_t extent) { return extent != 1; });
  return Shape(first, shape.end());
}

bool IsFloatType(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16 ||
         dtype == DType::kF64;
}

// `entry` seen with `shape`, which differs from its own in leading extents of 1 at most.
TensorEntry Reshaped(const TensorEntry& entry, const Shape& shape) {
  const Shape core = WithoutLeadingOnes(entry.shape);
  const size_t skipped = entry.shape.size() - core.size();
  TensorEntry result = entry;
  result.shape = shape;
  result.strides = Shape(shape.size() - core.size(), 0);
  result.strides.insert(result.strides.end(), entry.strides.begin() + skipped, entry.strides.end());
  return result;
}

absl::Status Summary(std::vector<std::string> differences) {
  const size_t count = differences.size();
  if (count > kMaxDifferences) {
    differences.resize(kMaxDifferences);
    differences.push_back(absl::StrCat("and ", count - kMaxDifferences, " more"));
  }
  return absl::DataLossError(
      absl::StrCat("the checkpoint differs from the model in ", count,
                   count == 1 ? " tensor: " : " tensors: ", absl::StrJoin(differences, "; ")));
}

}  // namespace

// Hashes what has been loaded and reports how much it is.
class WeightLoader::Meter {
 public:
  Meter(int64_t total, const Progress& progress) : total_(total), progress_(progress) {}

  void Add(const void* data, int64_t bytes) {
    hash_ = ContentHash(data, static_cast<size_t>(bytes), hash_);
    done_ += bytes;
    if (progress_ && done_ - reported_ >= kProgressBytes && done_ < total_) {
      reported_ = done_;
      progress_(done_, total_);
    }
  }
  void AddName(const std::string& name, DType dtype, const Shape& shape) {
    hash_ = ContentHash(absl::StrCat(name, " ", DTypeName(dtype), " ", ShapeString(shape)), hash_);
  }
  void Finish() const {
    if (progress_) progress_(done_, total_);
  }
  uint64_t hash() const { return hash_; }

 private:
  int64_t total_;
  const Progress& progress_;
  int64_t done_ = 0;
  int64_t reported_ = 0;
  uint64_t hash_ = 0;
};

void WeightLoader::Matrix(Names names, int64_t rows, int64_t cols, WeightMatrix* out,
                          const TensorOptions& options) {
  SKEIN_CHECK(!names.empty() && rows > 0 && cols > 0);
  if (!rename_) *out = WeightMatrix();
  Declare({std::move(names), {rows, cols}, options, out, nullptr});
}

void WeightLoader::Vector(Names names, const Shape& shape, TensorView<const float>* out,
                          const TensorOptions& options) {
  SKEIN_CHECK(!names.empty() && !options.transposed);
  static const TensorView<const float> kEmpty;  // a temporary would raise a false warning in g++ 12
  if (!rename_) *out = kEmpty;
  Declare({std::move(names), shape, options, nullptr, out});
}

void WeightLoader::Declare(Decl decl) {
  if (rename_) {
    for (std::string& name : decl.names) name = rename_(name);
    decl.options.optional = true;
  }
  decls_.push_back(std::move(decl));
}

void WeightLoader::Ignore(std::string pattern) {
  ignored_.push_back(rename_ ? rename_(pattern) : std::move(pattern));
}

void WeightLoader::Resolve(Decl& decl, std::vector<std::string>& differences) const {
  for (const std::string& name : decl.names) {
    const TensorEntry* entry = files_.Find(name);
    if (entry == nullptr) continue;
    decl.found = name;
    Shape expected = decl.shape;
    if (decl.options.transposed) std::swap(expected[0], expected[1]);
    if (WithoutLeadingOnes(entry->shape) != WithoutLeadingOnes(expected)) {
      differences.push_back(absl::StrCat(name, ": shape ", ShapeString(entry->shape), ", expected ",
                                         ShapeString(expected)));
    } else if (!IsFloatType(entry->dtype)) {
      differences.push_back(absl::StrCat(name, ": type ", DTypeName(entry->dtype),
                                         ", expected F32, BF16, F16 or F64"));
    } else {
      decl.source = Reshaped(*entry, expected);
      decl.entry = InMemory(decl, decl.source);
      const bool keeps_type = decl.matrix != nullptr && entry->dtype != DType::kF64;
      decl.dtype = keeps_type ? entry->dtype : DType::kF32;
      if (decl.matrix != nullptr) decl.dtype = changes_.matrix_type.value_or(decl.dtype);
    }
    return;
  }
  if (!decl.options.optional) {
    differences.push_back(absl::StrCat(absl::StrJoin(decl.names, " or "), ": missing"));
  }
}

void WeightLoader::FindLeftovers(std::vector<std::string>& differences) const {
  absl::flat_hash_set<absl::string_view> used;
  for (const Decl& decl : decls_) used.insert(decl.found);
  for (const auto& [name, entry] : files_.tensors()) {
    const std::string& text = name;
    if (used.contains(text)) continue;
    if (std::any_of(ignored_.begin(), ignored_.end(),
                    [&](const std::string& pattern) { return Fits(pattern, text); })) {
      continue;
    }
    differences.push_back(absl::StrCat(absl::Utf8SafeCEscape(text), ": not part of this model"));
  }
}

absl::StatusOr<int64_t> WeightLoader::PlanBytes() {
  std::vector<std::string> differences;
  for (Decl& decl : decls_) Resolve(decl, differences);
  FindLeftovers(differences);
  if (!differences.empty()) return Summary(std::move(differences));

  int64_t arena_bytes = 0;
  absl::flat_hash_set<absl::string_view> counted;
  for (const Decl& decl : decls_) {
    if (decl.found.empty()) continue;
    if (decl.matrix != nullptr) decl.matrix->dtype = decl.dtype;
    arena_bytes += static_cast<int64_t>(Arena::Rounded(static_cast<size_t>(decl.bytes())));
    total_bytes_ += decl.bytes();
    if (counted.insert(decl.found).second) num_parameters_ += NumElements(decl.shape);
  }
  return arena_bytes;
}

TensorEntry WeightLoader::InMemory(const Decl& decl, const TensorEntry& source) const {
  return decl.options.transposed != decl.options.input_major ? Transposed(source) : source;
}

// The tensor's elements where they are not those of the file, or not of a type that Upload makes.
absl::StatusOr<std::optional<std::vector<std::byte>>> WeightLoader::Changed(
    const Decl& decl) const {
  if (changes_.edit) {
    ASSIGN_OR_RETURN(const std::optional<std::vector<float>> values, changes_.edit(decl.found));
    if (values.has_value()) return RoundedTo(decl.dtype, *values);
  }
  if (decl.source.dtype == decl.dtype || decl.dtype == DType::kF32) return std::nullopt;
  return ConvertTensor(files_, decl.source, decl.dtype);
}

absl::Status WeightLoader::LoadOne(Decl& decl, Arena& arena, WeightUpload& upload,
                                   Meter& meter) const {
  ASSIGN_OR_RETURN(void* const to, arena.Allocate(static_cast<size_t>(decl.bytes())));
  meter.AddName(decl.names.front(), decl.dtype, decl.shape);
  const absl::StatusOr<std::optional<std::vector<std::byte>>> changed = Changed(decl);
  if (!changed.ok()) {
    return absl::Status(changed.status().code(),
                        absl::StrCat(decl.found, ": ", std::string(changed.status().message())));
  }
  const TensorEntry entry =
      changed->has_value() ? InMemory(decl, EntryAt(decl.source, decl.dtype, (*changed)->data()))
                           : decl.entry;
  RETURN_IF_ERROR(Upload(entry, decl, to, upload, meter));
  if (decl.matrix != nullptr) {
    *decl.matrix =
        WeightMatrix{to, decl.dtype, decl.shape[0], decl.shape[1], decl.options.input_major};
  } else {
    *decl.floats = TensorView<const float>(static_cast<const float*>(to), decl.shape);
  }
  return absl::OkStatus();
}

absl::Status WeightLoader::Upload(const TensorEntry& entry, const Decl& decl, void* to,
                                  WeightUpload& upload, Meter& meter) const {
  const int64_t size = decl.bytes();
  if (entry.dtype == decl.dtype && entry.contiguous) {
    RETURN_IF_ERROR(
        upload.Pieces(to, size, [&](std::byte* out, int64_t begin, int64_t end) -> absl::Status {
          if (begin % kPrefetchBytes == 0) {
            PrefetchMapped(entry.data + begin, std::min(2 * kPrefetchBytes, size - begin));
          }
          RETURN_IF_ERROR(files_.ReadBytes(entry.data + begin, end - begin, out));
          meter.Add(out, end - begin);
          return absl::OkStatus();
        }));
  } else {
    const auto make = [&](std::byte* out) {
      if (entry.dtype != decl.dtype) {
        return files_.ReadFloat(entry, reinterpret_cast<float*>(out));
      }
      return files_.ReadRaw(entry, out);
    };
    RETURN_IF_ERROR(upload.Whole(to, size, make, [&](const std::byte* bytes) {
      for (int64_t at = 0; at < size; at += kPieceBytes) {
        meter.Add(bytes + at, std::min(kPieceBytes, size - at));
      }
    }));
  }
  return absl::OkStatus();
}

absl::Status WeightLoader::Load(Arena& arena, const Progress& progress) {
  Meter meter(total_bytes_, progress);
  ASSIGN_OR_RETURN(const std::unique_ptr<WeightUpload> upload, WeightUpload::Create(stream_));
  for (Decl& decl : decls_) {
    if (decl.found.empty()) continue;
    RETURN_IF_ERROR(LoadOne(decl, arena, *upload, meter));
  }
  RETURN_IF_ERROR(upload->Finish());
  meter.Finish();
  fingerprint_ = meter.hash();
  return absl::OkStatus();
}

}  // namespace skein
