#include "worker/engine/refusal_reason.h"

#include "absl/strings/cord.h"

namespace skein {
namespace {

constexpr char kPayload[] = "skein/reason";

}  // namespace

absl::Status WithReason(absl::Status status, absl::string_view reason) {
  status.SetPayload(kPayload, absl::Cord(reason));
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace skein
