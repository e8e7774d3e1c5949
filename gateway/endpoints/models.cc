#include "gateway/endpoints/models.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

#include "common/base/status_macros.h"
#include "gateway/endpoints/admit_request.h"
#include "gateway/endpoints/worker_errors.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr absl::string_view kModelsPath = "/v1/models/";

json::object ModelJson(const v1::ModelInfo& model) {
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
          {"fingerprint", model.fingerprint()}};
}

}  // namespace

absl::Status ListModels(const HttpRequest&, const Caller& caller, GatewayContext& context,
                        std::shared_ptr<HttpResponder> out) {
  json::array data;
  for (const v1::ModelInfo& model : context.workers.Models()) {
    if (context.access.MayUseModel(caller, model.name())) data.push_back(ModelJson(model));
  }
  out->Send({.body = json::serialize(json::object{{"object", "list"}, {"data", std::move(data)}}),
             .headers = {}});
  return absl::OkStatus();
}

absl::Status GetModel(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                      std::shared_ptr<HttpResponder> out) {
  const std::string id = request.path.substr(kModelsPath.size());
  RETURN_IF_ERROR(CheckModel(caller, context, id));
  for (const v1::ModelInfo& model : context.workers.Models()) {
    if (model.name() != id) continue;
    out->Send({.body = json::serialize(ModelJson(model)), .headers = {}});
    return absl::OkStatus();
  }
  return FromPick(absl::NotFoundError(absl::StrCat("model: \"", id, "\" is not served")));
}

}  // namespace skein
