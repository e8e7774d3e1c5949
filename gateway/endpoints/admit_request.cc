#include "gateway/endpoints/admit_request.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "gateway/access/token_estimate.h"
#include "gateway/endpoints/errors.h"
#include "gateway/routing/affinity.h"

namespace skein {
namespace {

absl::StatusOr<Admission> Admit(const Caller& caller, const GatewayContext& context,
                                absl::string_view model, const std::vector<std::string>& entries,
                                uint64_t tokens, HttpResponder& out) {
  absl::StatusOr<Admission> admission = context.access.Admit(caller, model, entries, tokens);
  for (auto& [name, value] : context.access.RateLimitHeaders(caller)) {
    out.AddHeader(std::move(name), std::move(value));
  }
  if (!absl::IsPermissionDenied(admission.status())) return admission;
  const absl::string_view message = admission.status().message();
  return WithParam(admission.status(), message.substr(0, message.find(':')));
}

}  // namespace

absl::Status CheckModel(const Caller& caller, const GatewayContext& context,
                        absl::string_view model) {
  if (context.access.MayUseModel(caller, model)) return absl::OkStatus();
  return WithParam(
      absl::PermissionDeniedError(absl::StrCat("model: this API key may not use \"", model, "\"")),
      "model");
}

absl::StatusOr<Admission> AdmitCall(const Caller& caller, const GatewayContext& context,
                                    absl::string_view model, HttpResponder& out,
                                    const std::vector<std::string>& entries) {
  return Admit(caller, context, model, entries, 0, out);
}

absl::StatusOr<Admission> AdmitGeneration(const Caller& caller, const GatewayContext& context,
                                          const TextRequest& request, HttpResponder& out) {
  uint64_t tokens = 0;
  for (const v1::Prompt& prompt : request.prompts) {
    tokens += EstimateTokens(prompt) + EstimateTokens(request.generate);
  }
  return Admit(caller, context, request.generate.model(),
               EntriesOf(request.generate.conditioning()), tokens, out);
}

}  // namespace skein
