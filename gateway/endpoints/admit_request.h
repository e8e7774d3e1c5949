// What a caller's key allows and limits, applied to requests of this API.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "gateway/access/access_control.h"
#include "gateway/endpoints/gateway_context.h"
#include "gateway/endpoints/text_request.h"

namespace skein {

// PermissionDenied, about the body's `model`, if the caller may not use it.
absl::Status CheckModel(const Caller& caller, const GatewayContext& context,
                        absl::string_view model);

// As AccessControl::Admit, for a request that generates nothing. `entries` are the registered ones
// that it is about. The answer `out` gets the x-ratelimit-* headers, refused or not.
absl::StatusOr<Admission> AdmitCall(const Caller& caller, const GatewayContext& context,
                                    absl::string_view model, HttpResponder& out,
                                    const std::vector<std::string>& entries = {});
// The same for all prompts of a request that generates.
absl::StatusOr<Admission> AdmitGeneration(const Caller& caller, const GatewayContext& context,
                                          const TextRequest& request, HttpResponder& out);

}  // namespace skein
