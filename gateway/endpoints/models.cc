#include "gateway/endpoints/models.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

#include "common/base/status_macros.h"
#include "gateway/endpoints/admit_request.h"
#include "gateway/endpoints/resolve_model.h"
#include "gateway/endpoints/worker_errors.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr absl::string_view kModelsPath = "/v1/models/";

json::object ModelJson(const v1::ModelInfo& model) {
  json::value merged;
  if (!model.merged_adapter().empty()) merged = model.merged_adapter();
  return {{"id", model.name()},
          {"object", "model"},
          {"created", model.loaded_unix_s()},
          {"owned_by", "skein"},
          {"architecture", model.architecture()},
          {"weight_format", model.weight_format()},
          {"max_prompt_tokens", model.max_prompt_tokens()},
          {"vocab_size", model.vocab_size()},
          {"chat", !model.chat_format().empty()},
          {"text_prompts", model.has_tokenizer()},
          {"fingerprint", model.fingerprint()},
          {"merged_adapter", std::move(merged)}};
}

const char* KindName(v1::EntryKind kind) {
  switch (kind) {
    case v1::ENTRY_KIND_STATE:
      return "state";
    case v1::ENTRY_KIND_MIXTURE:
      return "mixture";
    case v1::ENTRY_KIND_ADAPTER:
      return "adapter";
    default:
      return "";
  }
}

// The model itself, and as a client sees it with each of the entries that it may use.
void AppendWithEntries(const v1::ModelInfo& model, const Caller& caller,
                       const GatewayContext& context, json::array& out) {
  if (!context.access.MayUseModel(caller, model.name())) return;
  json::object base = ModelJson(model);
  base["kind"] = "model";
  base["base_model"] = nullptr;
  out.push_back(base);
  for (const ModelEntry& known : context.workers.Entries(model.name())) {
    if (!context.access.MayUseAdapter(caller, known.entry.name())) continue;
    json::object with_entry = base;
    with_entry["id"] = absl::StrCat(model.name(), " ", known.entry.name());
    with_entry["kind"] = KindName(known.entry.kind());
    with_entry["base_model"] = model.name();
    out.push_back(std::move(with_entry));
  }
}

json::array AllModels(const Caller& caller, const GatewayContext& context) {
  json::array data;
  for (const v1::ModelInfo& model : context.workers.Models()) {
    AppendWithEntries(model, caller, context, data);
  }
  return data;
}

}  // namespace

absl::Status ListModels(const HttpRequest&, const Caller& caller, GatewayContext& context,
                        std::shared_ptr<HttpResponder> out) {
  const json::object list = {{"object", "list"}, {"data", AllModels(caller, context)}};
  out->Send({.body = json::serialize(list), .headers = {}});
  return absl::OkStatus();
}

absl::Status GetModel(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                      std::shared_ptr<HttpResponder> out) {
  const std::string id = request.path.substr(kModelsPath.size());
  const ModelName name = SplitModelName(context.workers, id);
  RETURN_IF_ERROR(CheckModel(caller, context, name.model));
  for (const json::value& model : AllModels(caller, context)) {
    if (model.at("id").as_string() != id) continue;
    out->Send({.body = json::serialize(model), .headers = {}});
    return absl::OkStatus();
  }
  return FromPick(absl::NotFoundError(absl::StrCat("model: \"", id, "\" is not served")));
}

}  // namespace skein
