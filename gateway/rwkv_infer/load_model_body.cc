#include "gateway/rwkv_infer/load_model_body.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/status_macros.h"
#include "gateway/endpoints/errors.h"
#include "gateway/rwkv_infer/escapes.h"
#include "gateway/rwkv_infer/file_names.h"
#include "gateway/rwkv_infer/lenient_fields.h"
#include "gateway/rwkv_infer/renamed_fields.h"

namespace skein {
namespace {

namespace json = boost::json;

// Names of that server, and what they are called here.
struct Alias {
  const char* theirs;
  const char* ours;
};

// An empty format is that of the file.
constexpr Alias kStrategies[] = {{"", ""},           {"None", ""},
                                 {"quant", ""},      {"bf16", "bf16"},
                                 {"fp16", "fp16"},   {"int8", "int8"},
                                 {"bf16i8", "int8"}, {"fp16i8", "int8"},
                                 {"fp8", "fp8"},     {"fp6", "fp6"},
                                 {"fp5", "fp5"},     {"fp5c", "fp5"},
                                 {"nf4", "int4"},    {"attn_int8_ffn_int4", "attn=int8,ffn=int4"}};

constexpr Alias kTemplates[] = {
    {"world", "world"},           {"qwen", "qwen"},       {"qwen3", "qwen3"},
    {"phi3.5", "phi3.5"},         {"phi4", "phi4"},       {"phi4mini", "phi4mini"},
    {"mistralsmall3", "mistral"}, {"rekaflash3", "reka"}, {"chatml", "chatml"},
    {"llama3", "llama3"},         {"mistral", "mistral"}, {"reka", "reka"}};

constexpr size_t kMaxNameBytes = 64;
constexpr char kWorld[] = "world";
constexpr char kWorldStop[] = "\n\n";
constexpr float kDefaultTemperature = 1.0f;
constexpr float kDefaultTopP = 0.3f;

template <size_t kCount>
absl::StatusOr<std::string> Translate(absl::string_view field, absl::string_view name,
                                      const Alias (&aliases)[kCount]) {
  std::vector<absl::string_view> names;
  for (const Alias& alias : aliases) {
    if (name == alias.theirs) return alias.ours;
    if (*alias.theirs != '\0') names.emplace_back(alias.theirs);
  }
  return WithCode(FieldError(field, absl::StrCat("found \"", name, "\", expected one of ",
                                                 absl::StrJoin(names, ", "))),
                  "invalid_value");
}

absl::Status SetPath(const json::value& value, LoadModelBody& body) {
  body.request.set_path(StringOf(value));
  return absl::OkStatus();
}

absl::Status SetName(const json::value& value, LoadModelBody& body) {
  body.request.set_name(StringOf(value));
  return absl::OkStatus();
}

absl::Status SetStrategy(const json::value& value, LoadModelBody& body) {
  ASSIGN_OR_RETURN(*body.request.mutable_weight_format(),
                   Translate("model_strategy", StringOf(value), kStrategies));
  return absl::OkStatus();
}

absl::Status SetTemplate(const json::value& value, LoadModelBody& body) {
  body.template_name = StringOf(value);
  ASSIGN_OR_RETURN(*body.request.mutable_chat_format(),
                   Translate("template", body.template_name, kTemplates));
  return absl::OkStatus();
}

absl::Status SetEndToken(const json::value& value, LoadModelBody& body) {
  body.end_token = DecodeEscapes(StringOf(value));
  return absl::OkStatus();
}

absl::Status SetTemperature(const json::value& value, LoadModelBody& body) {
  body.request.mutable_defaults()->set_temperature(FloatOf(value));
  return absl::OkStatus();
}

absl::Status SetTopP(const json::value& value, LoadModelBody& body) {
  body.request.mutable_defaults()->set_top_p(FloatOf(value));
  return absl::OkStatus();
}

absl::Status SetAdapter(const json::value& value, LoadModelBody& body) {
  body.adapter_path = StringOf(value);
  return absl::OkStatus();
}

absl::Status SetAdapterMode(const json::value& value, LoadModelBody& body) {
  body.adapter_mode = StringOf(value);
  return absl::OkStatus();
}

absl::Status SetAdapterScaling(const json::value& value, LoadModelBody& body) {
  body.adapter_scaling = FloatOf(value);
  return absl::OkStatus();
}

absl::Status SetRopeTheta(const json::value& value, LoadModelBody& body) {
  body.request.set_rope_theta(FloatOf(value));
  return absl::OkStatus();
}

absl::Status SetNormEps(const json::value& value, LoadModelBody& body) {
  body.request.set_rms_norm_eps(FloatOf(value));
  return absl::OkStatus();
}

// Files of weights alone come with the World vocabulary unless a template says otherwise.
bool IsWorld(const LoadModelBody& body) {
  if (!body.template_name.empty()) return body.template_name == kWorld;
  return absl::StrContains(body.request.path(), ".pth");
}

void SetStop(LoadModelBody& body) {
  if (!body.end_token.empty()) {
    body.request.add_stop(body.end_token);
  } else if (IsWorld(body)) {
    body.request.add_stop(kWorldStop);
  }
}

void SetMergedAdapter(LoadModelBody& body) {
  if (body.adapter_path.empty()) return;
  const bool named = absl::StrContains(body.adapter_mode, "lora") ||
                     absl::StrContains(body.adapter_mode, "bone") ||
                     absl::StrContains(body.adapter_mode, "hybrid");
  if (!named) {
    body.warnings.push_back(absl::StrCat("adapter_filename was not used: adapter_mode is \"",
                                         body.adapter_mode, "\", expected lora, bone or hybrid"));
    return;
  }
  v1::LoadAdapterRequest& adapter = *body.request.mutable_merged_adapter();
  adapter.set_path(body.adapter_path);
  const std::string stem = StemOf(body.adapter_path);
  adapter.set_name(stem.empty() ? "adapter" : stem.substr(0, kMaxNameBytes));
  if (body.adapter_scaling.has_value()) adapter.set_scaling(*body.adapter_scaling);
}

void SetDefaults(v1::Defaults& defaults) {
  if (!defaults.has_temperature()) defaults.set_temperature(kDefaultTemperature);
  if (!defaults.has_top_p()) defaults.set_top_p(kDefaultTopP);
}

constexpr Range kPathBytes = {.min = 1, .max = 4096};
constexpr Range kAnyName = {.min = 0, .max = 256};

// What is loaded, and how its text is read and written.
FieldTable<LoadModelBody> FileFields() {
  return {
      {{.name = "model_filename",
        .type = FieldType::kString,
        .range = kPathBytes,
        .effect = "A `.pth` or `.safetensors` file or a model folder, relative to one of the "
                  "workers' model directories.",
        .required = true},
       SetPath},
      {{.name = "model_viewname",
        .type = FieldType::kString,
        .range = {.min = 1, .max = 128},
        .default_value = "default model",
        .effect = "What requests call it."},
       SetName},
      {{.name = "model_strategy",
        .type = FieldType::kString,
        .range = kAnyName,
        .default_value = "the file's",
        .effect = "Format of the weights: `bf16`, `fp16`; `int8`, `bf16i8`, `fp16i8` (int8); "
                  "`fp8`, `fp6`, `fp5`, `fp5c`; `nf4` (int4); `attn_int8_ffn_int4`."},
       SetStrategy},
      {{.name = "template",
        .type = FieldType::kString,
        .range = kAnyName,
        .default_value = "recognised",
        .effect = "Chat format: `world`, `qwen`, `qwen3`, `phi3.5`, `phi4`, `phi4mini`, "
                  "`mistralsmall3`, `rekaflash3`, or a name of docs/tokenizers.md."},
       SetTemplate},
      {{.name = "endtoken",
        .type = FieldType::kString,
        .range = kAnyName,
        .default_value = "of the chat format; two newlines for `world`",
        .effect = "Stop string of requests that give none; escapes such as \\n and \\u3002 are "
                  "decoded."},
       SetEndToken},
  };
}

// Numbers and the adapter.
FieldTable<LoadModelBody> OptionFields() {
  return {
      {{.name = "default_temperature",
        .type = FieldType::kNumber,
        .range = {.min = 0, .max = 2},
        .default_value = "1",
        .effect = "Of requests that give none, for this model alone."},
       SetTemperature},
      {{.name = "default_top_p",
        .type = FieldType::kNumber,
        .range = {.min = 0, .max = 1},
        .default_value = "0.3",
        .effect = "The same."},
       SetTopP},
      {{.name = "adapter_filename",
        .type = FieldType::kString,
        .range = {.min = 0, .max = 4096},
        .effect = "An adapter to merge into the weights, relative to one of the workers' "
                  "directories."},
       SetAdapter},
      {{.name = "adapter_mode",
        .type = FieldType::kString,
        .range = kAnyName,
        .effect = "Has to contain `lora`, `bone` or `hybrid`, else the adapter is left out, with a "
                  "warning. What it is follows from its contents."},
       SetAdapterMode},
      {{.name = "adapter_scaling",
        .type = FieldType::kNumber,
        .default_value = "the file's, else 2",
        .effect = "Scaling of a LoRA or DoRA."},
       SetAdapterScaling},
      {{.name = "rope_theta",
        .type = FieldType::kNumber,
        .range = {.min = 0, .above_min = true},
        .default_value = "1000000",
        .effect = "Of `.pth` hybrids, whose files do not hold it."},
       SetRopeTheta},
      {{.name = "rms_norm_eps",
        .type = FieldType::kNumber,
        .range = {.min = 0, .above_min = true},
        .default_value = "1e-6",
        .effect = "The same."},
       SetNormEps},
  };
}

}  // namespace

const FieldTable<LoadModelBody>& LoadModelFields() {
  static const FieldTable<LoadModelBody> kFields = [] {
    FieldTable<LoadModelBody> fields = FileFields();
    const FieldTable<LoadModelBody> more = OptionFields();
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
  }();
  return kFields;
}

absl::StatusOr<LoadModelBody> ReadLoadModel(const json::object& object) {
  LoadModelBody body;
  RETURN_IF_ERROR(ReadLenient(object, LoadModelFields(), body));
  if (body.request.name().empty()) body.request.set_name("default model");
  SetStop(body);
  SetMergedAdapter(body);
  SetDefaults(*body.request.mutable_defaults());
  return body;
}

absl::Status InWordsOfLoadModel(const absl::Status& status) {
  absl::Status told = WithRenamedField(status, {{"path", "model_filename"},
                                                {"name", "model_viewname"},
                                                {"weight_format", "model_strategy"},
                                                {"chat_format", "template"},
                                                {"stop", "endtoken"},
                                                {"merged_adapter", "adapter_filename"},
                                                {"merged_adapter.path", "adapter_filename"},
                                                {"merged_adapter.scaling", "adapter_scaling"}});
  const std::string field = ParamOf(told);
  if (field.empty() || !absl::IsUnimplemented(told)) return told;
  // A value that the worker does not have is for the client to change.
  return WithParam(absl::InvalidArgumentError(told.message()), field);
}

}  // namespace skein
