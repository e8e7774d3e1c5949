#include "worker/rpc/model_requests.h"

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/config/worker_config.h"
#include "common/text/chat_format.h"
#include "worker/registry/conversion.h"
#include "worker/rpc/generate_conversion.h"

namespace skein {
namespace {

absl::Status InField(absl::string_view field, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(field, ": ", std::string(status.message())));
}

absl::StatusOr<std::optional<DType>> ConvertWeightFormat(const std::string& format) {
  if (format.empty()) return std::optional<DType>();
  if (format == "fp32") return std::optional<DType>(DType::kF32);
  if (format == "bf16") return std::optional<DType>(DType::kBF16);
  if (format == "fp16") return std::optional<DType>(DType::kF16);
  return absl::UnimplementedError(
      absl::StrCat("weight_format: \"", absl::Utf8SafeCHexEscape(format),
                   "\", expected fp32, bf16, fp16, or none for the checkpoint's own"));
}

absl::StatusOr<DType> ConvertStateType(const std::string& type, const ModelRequestRules& rules) {
  if (type.empty()) return rules.state_dtype;
  if (type == "fp32") return DType::kF32;
  if (type != "fp16") {
    return absl::InvalidArgumentError(absl::StrCat(
        "state_dtype: \"", absl::Utf8SafeCHexEscape(type), "\", expected fp32 or fp16"));
  }
  if (rules.use_cuda) return DType::kF16;
  return absl::InvalidArgumentError(
      "state_dtype: \"fp16\", expected fp32: the CPU backend has no other");
}

absl::StatusOr<std::optional<float>> ConvertPositive(absl::string_view field, bool has,
                                                     float value) {
  if (!has) return std::optional<float>();
  if (std::isfinite(value) && value > 0) return std::optional<float>(value);
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", value, ", expected more than 0"));
}

absl::Status ConvertText(const v1::LoadModelRequest& request, const FileRoots& roots,
                         ModelSource& source) {
  if (!request.tokenizer_path().empty()) {
    const absl::StatusOr<FileRoots::File> file = roots.Find(request.tokenizer_path());
    RETURN_IF_ERROR(InField("tokenizer_path", file.status()));
    source.tokenizer = file->path;
  }
  source.chat_format = request.chat_format();
  if (!source.chat_format.empty() && !FindChatFormat(source.chat_format).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("chat_format: ", FindChatFormat(source.chat_format).status().message()));
  }
  if (request.stop().empty()) return absl::OkStatus();
  if (request.stop_size() > kMaxStopStrings) {
    return absl::InvalidArgumentError(absl::StrCat("stop: ", request.stop_size(),
                                                   " strings, expected at most ", kMaxStopStrings));
  }
  for (const std::string& text : request.stop()) {
    if (!text.empty() && text.size() <= kMaxStopBytes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("stop: a string of ", text.size(), " bytes, expected 1 to ", kMaxStopBytes));
  }
  source.default_stop.emplace(request.stop().begin(), request.stop().end());
  return absl::OkStatus();
}

// Messages start with a field of `request`.
absl::Status ConvertMerged(const v1::LoadAdapterRequest& request, const FileRoots& roots,
                           ModelSource& source) {
  MergedAdapterSource merged;
  ASSIGN_OR_RETURN(const FileRoots::File file, roots.Find(request.path()));
  merged.path = file.path;
  merged.name = request.name();
  if (merged.name.empty()) merged.name = std::filesystem::path(file.path).filename().string();
  RETURN_IF_ERROR(CheckEntryName(merged.name));
  ASSIGN_OR_RETURN(merged.options, ConvertAdapterOptions(request));
  source.merged_adapter = std::move(merged);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMayChangeModels(const ModelRequestRules& rules) {
  if (!rules.models.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this worker keeps the model that it was started with: it has no directory that models may "
      "come from (model_root, --model-root)");
}

absl::StatusOr<ModelSource> ConvertLoadModel(const v1::LoadModelRequest& request,
                                             const ModelRequestRules& rules) {
  RETURN_IF_ERROR(CheckMayChangeModels(rules));
  ModelSource source;
  source.name = request.name();
  RETURN_IF_ERROR(InField("name", CheckModelName(source.name)));
  ASSIGN_OR_RETURN(const FileRoots::File file, rules.models.Find(request.path()));
  source.path = file.path;
  RETURN_IF_ERROR(ConvertText(request, rules.models, source));
  ASSIGN_OR_RETURN(source.defaults, ConvertDefaults(request.defaults()));
  ASSIGN_OR_RETURN(source.weight_type, ConvertWeightFormat(request.weight_format()));
  ASSIGN_OR_RETURN(source.state_dtype, ConvertStateType(request.state_dtype(), rules));
  ASSIGN_OR_RETURN(source.rope_theta,
                   ConvertPositive("rope_theta", request.has_rope_theta(), request.rope_theta()));
  ASSIGN_OR_RETURN(source.rms_norm_eps, ConvertPositive("rms_norm_eps", request.has_rms_norm_eps(),
                                                        request.rms_norm_eps()));
  if (request.has_merged_adapter()) {
    const absl::Status status = ConvertMerged(request.merged_adapter(), rules.adapters, source);
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("merged_adapter.", std::string(status.message())));
    }
  }
  return source;
}

}  // namespace skein
