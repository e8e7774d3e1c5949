#include "worker/registry/tuned_state.h"

#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/device/memory.h"
#include "worker/registry/tuned_state_key.h"
#include "worker/registry/tuned_state_record.h"
#include "worker/weights/file_content.h"
#include "worker/weights/pth_file.h"
#include "worker/weights/safetensors_file.h"

namespace skein {
namespace {

// Far above the state of any model, so that adapter files with a state in them pass.
constexpr int64_t kMaxFileBytes = int64_t{1} << 30;
constexpr char kLayoutKey[] = "time_state_layout";

absl::string_view FileName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? path : path.substr(slash + 1);
}

// By the name where it says so, else by the first bytes: those of a zip archive or of a bare
// pickle.
bool IsTorchFile(absl::string_view name, std::span<const std::byte> file) {
  if (absl::EndsWithIgnoreCase(name, ".pth") || absl::EndsWithIgnoreCase(name, ".pt")) return true;
  if (absl::EndsWithIgnoreCase(name, ".safetensors")) return false;
  const absl::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  return absl::StartsWith(text, "PK\x03\x04") || absl::StartsWith(text, "\x80\x02");
}

struct FileTensors {
  std::vector<NamedTensor> tensors;
  std::optional<std::string> layout;  // as the metadata say
};

absl::StatusOr<FileTensors> ReadTensors(absl::string_view name, std::span<const std::byte> file) {
  FileTensors result;
  if (IsTorchFile(name, file)) {
    ASSIGN_OR_RETURN(result.tensors, ReadPth(file));
    return result;
  }
  ASSIGN_OR_RETURN(result.tensors, ReadSafetensors(file));
  ASSIGN_OR_RETURN(const auto metadata, ReadSafetensorsMetadata(file));
  const auto found = metadata.find(kLayoutKey);
  if (found != metadata.end()) result.layout = found->second;
  return result;
}

absl::StatusOr<TunedStateLayout> ChooseLayout(absl::string_view name, const FileTensors& file,
                                              std::vector<std::string>& warnings) {
  if (file.layout.has_value()) {
    auto layout = ParseTunedStateLayout(*file.layout);
    if (layout.ok()) return layout;
    return absl::InvalidArgumentError(absl::StrCat("metadata ", kLayoutKey, ": ",
                                                   std::string(layout.status().message()),
                                                   "; give the layout"));
  }
  if (absl::EndsWithIgnoreCase(name, ".state")) return TunedStateLayout::kKeyValue;
  if (absl::EndsWithIgnoreCase(name, ".state.safetensors")) {
    warnings.push_back(
        "read as value-key; if this is a converted .state file, load it as key-value");
  }
  return TunedStateLayout::kValueKey;
}

absl::StatusOr<TunedState> LoadNamed(const std::string& path, absl::string_view name,
                                     TunedStateLayout layout, const ModelDescription& model,
                                     const StateLayout& fields, const Stream& stream) {
  ASSIGN_OR_RETURN(const FileContent content, FileContent::Read(path, kMaxFileBytes));
  ASSIGN_OR_RETURN(const FileTensors file, ReadTensors(name, content.bytes()));
  std::vector<std::string> warnings;
  if (layout == TunedStateLayout::kAutomatic) {
    ASSIGN_OR_RETURN(layout, ChooseLayout(name, file, warnings));
  }
  ASSIGN_OR_RETURN(TunedState state, MakeTunedState(file.tensors, layout, model, fields, stream));
  state.warnings.insert(state.warnings.begin(), warnings.begin(), warnings.end());
  return state;
}

}  // namespace

absl::string_view TunedStateLayoutName(TunedStateLayout layout) {
  switch (layout) {
    case TunedStateLayout::kValueKey:
      return "value-key";
    case TunedStateLayout::kKeyValue:
      return "key-value";
    default:
      return "automatic";
  }
}

absl::StatusOr<TunedStateLayout> ParseTunedStateLayout(absl::string_view name) {
  if (name == "vk" || name == "value-key") return TunedStateLayout::kValueKey;
  if (name == "kv" || name == "key-value") return TunedStateLayout::kKeyValue;
  if (name == "auto" || name == "automatic") return TunedStateLayout::kAutomatic;
  return absl::InvalidArgumentError(absl::StrCat(
      "layout \"", absl::Utf8SafeCEscape(name.substr(0, 40)), "\", expected vk, kv or auto"));
}

bool IsTunedStateKey(absl::string_view name) { return ParseTunedStateKey(name).has_value(); }

absl::StatusOr<TunedState> MakeTunedState(std::span<const NamedTensor> tensors,
                                          TunedStateLayout layout, const ModelDescription& model,
                                          const StateLayout& fields, const Stream& stream) {
  if (layout == TunedStateLayout::kAutomatic) layout = TunedStateLayout::kValueKey;
  TunedState result;
  result.layout = layout;
  result.bytes = fields.bytes;
  ASSIGN_OR_RETURN(const TunedStateEntries entries, SortTunedState(tensors, result.warnings));
  RETURN_IF_ERROR(CheckTunedState(entries, model, fields));
  ASSIGN_OR_RETURN(StateRecord record,
                   BuildStateRecord(entries, layout == TunedStateLayout::kKeyValue, fields));
  if (record.factors != nullptr && !stream.on_cpu()) {
    return absl::UnimplementedError("time offsets other than zeros run on the CPU backend alone");
  }
  auto state = std::make_shared<InitialState>();
  state->content_hash = std::move(record.content_hash);
  state->factors = std::move(record.factors);
  ASSIGN_OR_RETURN(state->record, Upload(stream, std::move(record.memory)));
  result.state = std::move(state);
  return result;
}

absl::StatusOr<TunedState> LoadTunedState(const std::string& path, TunedStateLayout layout,
                                          const ModelDescription& model, const StateLayout& fields,
                                          const Stream& stream) {
  const absl::string_view name = FileName(path);
  absl::StatusOr<TunedState> state = LoadNamed(path, name, layout, model, fields, stream);
  if (state.ok()) return state;
  return absl::Status(state.status().code(),
                      absl::StrCat(name, ": ", std::string(state.status().message())));
}

}  // namespace skein
