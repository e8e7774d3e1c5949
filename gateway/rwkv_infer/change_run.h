// A change of what workers have, in one or several steps, from the request to its answer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/endpoints/gateway_context.h"
#include "gateway/rpc/byte_call.h"
#include "gateway/rpc/call_all.h"
#include "gateway/rpc/inference_client.h"

namespace skein {

struct ChangePlan {
  std::vector<WorkerHandle> workers;
  // To all workers, each step when all of them took the one before.
  std::vector<ByteRequest> steps;
  // Afterwards, whatever comes of it: when all steps were taken; when one was not.
  std::vector<ByteRequest> after_success = {};
  std::vector<ByteRequest> after_failure = {};
  // What clients ask for next shall find the change: the answer waits for this, but not for long.
  std::function<bool()> is_shown = nullptr;
  std::vector<std::string> warnings = {};
  bool brings_entries = false;  // the steps' answers are entries, whose warnings are told, too
  // A worker's error in the words of the request.
  absl::Status (*in_words)(const absl::Status& status) = nullptr;
};

// Who asked, and who is told. Keeps what the request holds until it is answered.
struct ChangeRequest {
  GatewayContext& context;
  CallOptions options;
  std::string request_id;
  std::shared_ptr<Admission> admission;
  std::shared_ptr<HttpResponder> out;
};

std::vector<std::string> AddressesOf(const std::vector<WorkerHandle>& workers);

// Answers {"status": "success", "workers": [...]}, with "warnings" if there are any, or an error
// with "workers" of the step that was not taken. Workers that took a step keep it when the client
// leaves.
void RunChange(ChangeRequest request, ChangePlan plan);

}  // namespace skein
