#include "worker/adapters/adapter_files.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <span>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

#include "common/base/status_macros.h"
#include "worker/weights/pth_file.h"
#include "worker/weights/safetensors_file.h"

namespace skein {
namespace {

namespace fs = std::filesystem;

constexpr char kPeftConfigName[] = "adapter_config.json";
constexpr char kPeftModelName[] = "adapter_model.safetensors";
constexpr char kPeftOldModelName[] = "adapter_model.bin";
constexpr char kInitPrefix[] = "init_";
constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr int64_t kMaxFileBytes = int64_t{64} << 30;
constexpr size_t kMaxFolderEntries = 10'000;

bool IsPth(absl::string_view name) { return absl::EndsWithIgnoreCase(name, ".pth"); }
bool IsAdapterFile(absl::string_view name) {
  return IsPth(name) || absl::EndsWithIgnoreCase(name, ".safetensors");
}
bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// The name of the file in place of its path, which is nobody's business.
absl::Status About(absl::string_view label, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(label, ": ", std::string(status.message())));
}
absl::Status CannotRead(const fs::path& path, const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return absl::NotFoundError(absl::StrCat(path.filename().string(), ": no such file"));
    case absl::StatusCode::kPermissionDenied:
      return absl::PermissionDeniedError(
          absl::StrCat(path.filename().string(), ": may not be read"));
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kResourceExhausted:
      return About(path.filename().string(), status);
    default:
      return absl::Status(status.code(),
                          absl::StrCat(path.filename().string(), ": cannot be opened"));
  }
}

absl::StatusOr<std::span<const std::byte>> Read(const fs::path& path, AdapterFiles& files) {
  auto file = FileContent::Read(path.string(), kMaxFileBytes);
  if (!file.ok()) return CannotRead(path, file.status());
  files.contents.push_back(*std::move(file));
  return files.contents.back().bytes();
}

absl::Status AddTensors(const fs::path& path, AdapterFiles& files) {
  ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, Read(path, files));
  auto tensors = IsPth(path.string()) ? ReadPth(bytes) : ReadSafetensors(bytes);
  if (!tensors.ok()) return About(path.filename().string(), tensors.status());
  std::move(tensors->begin(), tensors->end(), std::back_inserter(files.tensors));
  return absl::OkStatus();
}

absl::Status AddPeftConfig(const fs::path& path, AdapterFiles& files) {
  ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, Read(path, files));
  const std::string label = path.filename().string();
  if (bytes.size() > kMaxConfigBytes) {
    return absl::DataLossError(
        absl::StrCat(label, ": has ", bytes.size(), " bytes, expected at most ", kMaxConfigBytes));
  }
  auto config = ParsePeftConfig({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!config.ok()) return About(label, config.status());
  files.peft = *std::move(config);
  return absl::OkStatus();
}

absl::Status AddPeftFolder(const fs::path& folder, AdapterFiles& files) {
  RETURN_IF_ERROR(AddPeftConfig(folder / kPeftConfigName, files));
  if (Exists(folder / kPeftModelName)) return AddTensors(folder / kPeftModelName, files);
  if (Exists(folder / kPeftOldModelName)) {
    return absl::UnimplementedError(absl::StrCat(kPeftOldModelName,
                                                 ": this format is not read; save the adapter "
                                                 "again as safetensors"));
  }
  return absl::NotFoundError(
      absl::StrCat(files.label, ": holds ", kPeftConfigName, " but no ", kPeftModelName));
}

absl::StatusOr<std::vector<std::string>> AdapterNames(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  size_t seen = 0;
  for (fs::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    if (++seen > kMaxFolderEntries) return absl::InvalidArgumentError("holds too many files");
    std::string name = file->path().filename().string();
    if (IsAdapterFile(name)) names.push_back(std::move(name));
  }
  if (error) return absl::UnavailableError(error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// One adapter, and the initial factors of PiSSA if they are there.
absl::Status AddNativeFolder(const fs::path& folder, AdapterFiles& files) {
  auto names = AdapterNames(folder);
  if (!names.ok()) return About(files.label, names.status());
  const auto init = std::stable_partition(names->begin(), names->end(), [](const std::string& n) {
    return !absl::StartsWith(n, kInitPrefix);
  });
  if (init - names->begin() != 1 || names->end() - init > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.label, ": a folder must hold ", kPeftConfigName,
                     ", or one adapter (.pth or .safetensors) and at most one file ", kInitPrefix,
                     "*; found ", names->empty() ? "none" : absl::StrJoin(*names, ", ")));
  }
  for (const std::string& name : *names) RETURN_IF_ERROR(AddTensors(folder / name, files));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AdapterFiles> OpenAdapterFiles(const std::string& path) {
  fs::path place = fs::path(path);
  if (!place.has_filename()) place = place.parent_path();
  AdapterFiles files;
  files.label = place.filename().string();
  std::error_code error;
  if (fs::is_directory(place, error)) {
    RETURN_IF_ERROR(Exists(place / kPeftConfigName) ? AddPeftFolder(place, files)
                                                    : AddNativeFolder(place, files));
    return files;
  }
  if (!IsAdapterFile(files.label) && Exists(place)) {
    return absl::InvalidArgumentError(absl::StrCat(
        files.label, ": expected a .pth or .safetensors file, or a folder with ", kPeftConfigName));
  }
  // The two files of a Hugging Face folder belong together, however they are named.
  const fs::path config = place.parent_path() / kPeftConfigName;
  if (files.label == kPeftModelName && Exists(config)) {
    RETURN_IF_ERROR(AddPeftConfig(config, files));
  }
  RETURN_IF_ERROR(AddTensors(place, files));
  return files;
}

}  // namespace skein
