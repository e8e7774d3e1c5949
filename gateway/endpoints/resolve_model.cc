#include "gateway/endpoints/resolve_model.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "gateway/endpoints/errors.h"

namespace skein {
namespace {

bool IsServed(const WorkerPool& workers, const std::string& name) {
  const std::vector<v1::ModelInfo> models = workers.Models();
  return std::any_of(models.begin(), models.end(),
                     [&name](const v1::ModelInfo& model) { return model.name() == name; });
}

// The entry `name` that `field` of the body names.
absl::Status CheckEntry(const WorkerPool& workers, const TextRequest& request,
                        absl::string_view field, const std::string& name, const char* code) {
  const std::string& model = request.generate.model();
  if (name.empty() || workers.Has(model, name) != Holding::kNo) return absl::OkStatus();
  const absl::Status status = absl::NotFoundError(
      absl::StrCat(field, ": \"", model, "\" has no state, mixture or adapter \"", name,
                   "\"; GET /v1/models lists what it has"));
  return WithCode(WithParam(status, field), code);
}

absl::Status Disagrees(absl::string_view field, const std::string& entry) {
  return FieldError(field, absl::StrCat("chooses something else than model, which names \"", entry,
                                        "\"; expected one of the two"));
}

absl::Status UseState(const std::string& entry, TextRequest& request) {
  if (request.has_states) return Disagrees("states", entry);
  if (request.state.has_value() && *request.state != entry) return Disagrees("state", entry);
  request.generate.mutable_conditioning()->set_entry(entry);
  return absl::OkStatus();
}

absl::Status UseAdapter(const std::string& entry, TextRequest& request) {
  if (request.has_adapters) return Disagrees("adapters", entry);
  if (request.adapter.has_value() && *request.adapter != entry) return Disagrees("adapter", entry);
  v1::Conditioning& conditioning = *request.generate.mutable_conditioning();
  conditioning.clear_adapters();
  conditioning.add_adapters()->set_name(entry);
  return absl::OkStatus();
}

}  // namespace

ModelName SplitModelName(const WorkerPool& workers, absl::string_view name) {
  absl::string_view longest;
  const std::vector<v1::ModelInfo> models = workers.Models();
  for (const v1::ModelInfo& model : models) {
    if (model.name() == name) return {std::string(name), ""};
    const bool begins = absl::StartsWith(name, absl::StrCat(model.name(), " "));
    if (begins && name.size() > model.name().size() + 1 && model.name().size() >= longest.size()) {
      longest = model.name();
    }
  }
  if (longest.empty()) return {std::string(name), ""};
  return {std::string(longest), std::string(name.substr(longest.size() + 1))};
}

absl::Status ResolveModel(const WorkerPool& workers, TextRequest& request) {
  request.model_name = request.generate.model();
  const ModelName name = SplitModelName(workers, request.model_name);
  request.generate.set_model(name.model);
  request.model_names_entry = !name.entry.empty();
  if (name.entry.empty()) return absl::OkStatus();
  return workers.KindOf(name.model, name.entry) == v1::ENTRY_KIND_ADAPTER
             ? UseAdapter(name.entry, request)
             : UseState(name.entry, request);
}

absl::Status CheckEntries(const WorkerPool& workers, const TextRequest& request) {
  if (!IsServed(workers, request.generate.model())) return absl::OkStatus();  // Pick says why
  const v1::Conditioning& conditioning = request.generate.conditioning();
  const auto check = [&](absl::string_view field, const std::string& name, const char* code) {
    return CheckEntry(workers, request, field, name, code);
  };
  if (request.model_names_entry) {
    const ModelName name = SplitModelName(workers, request.model_name);
    RETURN_IF_ERROR(check("model", name.entry, "model_not_found"));
  }
  RETURN_IF_ERROR(check("state", conditioning.entry(), "state_not_found"));
  for (int i = 0; i < conditioning.mix().states_size(); ++i) {
    RETURN_IF_ERROR(check(absl::StrCat("states[", i, "].name"), conditioning.mix().states(i).name(),
                          "state_not_found"));
  }
  for (int i = 0; i < conditioning.adapters_size(); ++i) {
    const std::string field =
        request.has_adapters ? absl::StrCat("adapters[", i, "].name") : "adapter";
    RETURN_IF_ERROR(check(field, conditioning.adapters(i).name(), "adapter_not_found"));
  }
  return absl::OkStatus();
}

}  // namespace skein
