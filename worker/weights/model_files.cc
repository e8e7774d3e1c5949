#include "worker/weights/model_files.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/status_macros.h"
#include "worker/weights/pth_file.h"
#include "worker/weights/safetensors_file.h"

namespace skein {
namespace {

namespace fs = std::filesystem;

constexpr char kSingleName[] = "model.safetensors";
constexpr char kIndexName[] = "model.safetensors.index.json";
constexpr char kConfigName[] = "config.json";
constexpr uint64_t kMaxConfigBytes = 16 << 20;
constexpr uint64_t kMaxIndexBytes = 100'000'000;

bool HasExtension(absl::string_view path, absl::string_view extension) {
  return absl::EndsWithIgnoreCase(path, extension);
}

bool IsCheckpoint(absl::string_view path) {
  return HasExtension(path, ".safetensors") || HasExtension(path, ".pth");
}

bool IsForeign(absl::string_view path) {
  return HasExtension(path, ".gguf") || HasExtension(path, ".bin") || HasExtension(path, ".pt") ||
         HasExtension(path, ".onnx");
}

absl::Status ForeignFormat(absl::string_view path) {
  return absl::UnimplementedError(
      absl::StrCat(path, ": this format is not read; convert it to .safetensors or .pth"));
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

absl::StatusOr<std::vector<std::string>> FileNames(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    names.push_back(file->path().filename().string());
  }
  if (error) return absl::UnavailableError(absl::StrCat(folder, ": ", error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

// The one checkpoint of a folder.
absl::StatusOr<std::string> FindCheckpoint(const std::string& folder) {
  for (const char* name : {kSingleName, kIndexName}) {
    const fs::path path = fs::path(folder) / name;
    if (Exists(path)) return path.string();
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, FileNames(folder));
  std::vector<std::string> found;
  std::copy_if(names.begin(), names.end(), std::back_inserter(found), IsCheckpoint);
  if (found.size() == 1) return (fs::path(folder) / found.front()).string();
  if (found.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(folder, ": holds ", found.size(),
                                                   " checkpoints (", absl::StrJoin(found, ", "),
                                                   "); give the path of one"));
  }
  const auto foreign = std::find_if(names.begin(), names.end(), IsForeign);
  if (foreign != names.end()) return ForeignFormat((fs::path(folder) / *foreign).string());
  return absl::NotFoundError(
      absl::StrCat(folder, ": holds no ", kSingleName, ", ", kIndexName, " or other checkpoint"));
}

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", std::string(status.message())));
}

absl::string_view AsText(std::span<const std::byte> bytes) {
  return absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, uint64_t max_bytes) {
  ASSIGN_OR_RETURN(const std::unique_ptr<MappedFile> file, MappedFile::Open(path));
  if (file->bytes().size() > max_bytes) {
    return absl::DataLossError(
        absl::StrCat(path, ": has ", file->bytes().size(), " bytes, expected at most ", max_bytes));
  }
  return std::string(AsText(file->bytes()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelFiles>> ModelFiles::Open(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    return absl::NotFoundError(absl::StrCat("\"", path, "\": no such file or folder"));
  }
  std::unique_ptr<ModelFiles> files(new ModelFiles());
  std::string checkpoint = path;
  files->folder_ = path;
  if (fs::is_directory(status)) {
    ASSIGN_OR_RETURN(checkpoint, FindCheckpoint(path));
  } else {
    const fs::path parent = fs::path(path).parent_path();
    files->folder_ = parent.empty() ? "." : parent.string();
  }
  RETURN_IF_ERROR(files->AddCheckpoint(checkpoint));
  RETURN_IF_ERROR(files->ReadConfig());
  return files;
}

absl::StatusOr<std::unique_ptr<ModelFiles>> ModelFiles::FromMemory(
    std::vector<NamedTensor> tensors, std::string config_json, std::shared_ptr<const void> memory) {
  std::unique_ptr<ModelFiles> files(new ModelFiles());
  files->config_json_ = std::move(config_json);
  files->memory_ = std::move(memory);
  for (NamedTensor& tensor : tensors) {
    if (!files->tensors_.emplace(tensor.name, std::move(tensor.entry)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", absl::Utf8SafeCEscape(tensor.name), "\" comes twice"));
    }
  }
  return files;
}

absl::Status ModelFiles::AddCheckpoint(const std::string& path) {
  if (HasExtension(path, ".index.json")) return AddIndex(path);
  if (IsCheckpoint(path)) return AddFile(path);
  if (IsForeign(path)) return ForeignFormat(path);
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": expected a folder, *.safetensors, *.safetensors.index.json or *.pth"));
}

absl::StatusOr<std::vector<NamedTensor>> ModelFiles::MapFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> file, MappedFile::Open(path));
  const std::span<const std::byte> bytes = file->bytes();
  mappings_.push_back(std::move(file));
  file_bytes_ += bytes.size();
  absl::StatusOr<std::vector<NamedTensor>> tensors =
      HasExtension(path, ".pth") ? ReadPth(bytes) : ReadSafetensors(bytes);
  if (!tensors.ok()) return InFile(path, tensors.status());
  return tensors;
}

absl::Status ModelFiles::AddFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::vector<NamedTensor> tensors, MapFile(path));
  for (NamedTensor& tensor : tensors) {
    tensors_.emplace(std::move(tensor.name), std::move(tensor.entry));
  }
  return absl::OkStatus();
}

absl::Status ModelFiles::AddIndex(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kMaxIndexBytes));
  const auto index = ReadSafetensorsIndex(text);
  if (!index.ok()) return InFile(path, index.status());
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : *index) shards.insert(shard);
  for (const std::string& shard : shards) RETURN_IF_ERROR(AddShard(path, shard, *index));
  for (const auto& [tensor, shard] : *index) {
    if (tensors_.contains(tensor)) continue;
    return absl::DataLossError(absl::StrCat(path, ": tensor \"", absl::Utf8SafeCEscape(tensor),
                                            "\" is missing in \"", shard, "\""));
  }
  return absl::OkStatus();
}

absl::Status ModelFiles::AddShard(const std::string& index_path, const std::string& shard,
                                  const absl::btree_map<std::string, std::string>& index) {
  const std::string path = (fs::path(folder_) / shard).string();
  if (!Exists(path)) {
    return absl::DataLossError(
        absl::StrCat(index_path, ": names \"", shard, "\", which is missing"));
  }
  ASSIGN_OR_RETURN(std::vector<NamedTensor> tensors, MapFile(path));
  for (NamedTensor& tensor : tensors) {
    const auto place = index.find(tensor.name);
    if (place == index.end() || place->second != shard) {
      return absl::DataLossError(absl::StrCat(
          path, ": tensor \"", absl::Utf8SafeCEscape(tensor.name), "\" is here, but the index ",
          place == index.end() ? "does not name it"
                               : absl::StrCat("says \"", place->second, "\"")));
    }
    tensors_.emplace(std::move(tensor.name), std::move(tensor.entry));
  }
  return absl::OkStatus();
}

absl::Status ModelFiles::ReadConfig() {
  const std::string path = (fs::path(folder_) / kConfigName).string();
  if (!Exists(path)) return absl::OkStatus();
  ASSIGN_OR_RETURN(config_json_, ReadSmallFile(path, kMaxConfigBytes));
  return absl::OkStatus();
}

const TensorEntry* ModelFiles::Find(absl::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

absl::Status ModelFiles::ReadBytes(const std::byte* data, int64_t bytes, void* out) const {
  for (const std::unique_ptr<MappedFile>& file : mappings_) {
    const std::span<const std::byte> all = file->bytes();
    if (std::less<>()(data, all.data()) || !std::less<>()(data, all.data() + all.size())) continue;
    return file->Read(static_cast<size_t>(data - all.data()), static_cast<size_t>(bytes), out);
  }
  if (bytes > 0) std::memcpy(out, data, static_cast<size_t>(bytes));
  return absl::OkStatus();
}

// All that the entry's strides reach, in `bytes`, and the entry that finds its elements there.
absl::StatusOr<TensorEntry> ModelFiles::ReadExtent(const TensorEntry& entry,
                                                   std::vector<std::byte>& bytes) const {
  int64_t last = 0;
  for (size_t d = 0; d < entry.shape.size(); ++d) {
    last += std::max<int64_t>(entry.shape[d] - 1, 0) * entry.strides[d];
  }
  bytes.resize(NumElements(entry.shape) == 0 ? 0 : (last + 1) * DTypeBytes(entry.dtype));
  RETURN_IF_ERROR(ReadBytes(entry.data, static_cast<int64_t>(bytes.size()), bytes.data()));
  TensorEntry read = entry;
  read.data = bytes.data();
  return read;
}

absl::Status ModelFiles::ReadRaw(const TensorEntry& entry, void* out) const {
  if (entry.contiguous) {
    return ReadBytes(entry.data, NumElements(entry.shape) * DTypeBytes(entry.dtype), out);
  }
  std::vector<std::byte> bytes;
  ASSIGN_OR_RETURN(const TensorEntry read, ReadExtent(entry, bytes));
  CopyElements(read, out);
  return absl::OkStatus();
}

absl::Status ModelFiles::ReadFloat(const TensorEntry& entry, float* out) const {
  if (entry.dtype == DType::kF32) return ReadRaw(entry, out);
  std::vector<std::byte> bytes;
  ASSIGN_OR_RETURN(const TensorEntry read, ReadExtent(entry, bytes));
  return CopyFloat(read, out);
}

void ModelFiles::CopyRaw(const TensorEntry& entry, void* out) { CopyElements(entry, out); }

absl::Status ModelFiles::CopyFloat(const TensorEntry& entry, float* out) {
  const int64_t count = NumElements(entry.shape);
  if (entry.contiguous) return ConvertToFloat(entry.dtype, entry.data, count, out);
  std::vector<std::byte> dense(count * DTypeBytes(entry.dtype));
  CopyElements(entry, dense.data());
  return ConvertToFloat(entry.dtype, dense.data(), count, out);
}

}  // namespace skein
