#include "worker/registry/mixture.h"

#include <cmath>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

constexpr double kLeastSum = 1e-6;

absl::Status CheckWeights(const StateMix& mix, int max_parts) {
  if (mix.parts.empty() || mix.parts.size() > static_cast<size_t>(max_parts)) {
    return absl::InvalidArgumentError(
        absl::StrCat("mix: ", mix.parts.size(), " states, expected 1 to ", max_parts));
  }
  bool all_zero = true;
  for (const MixPart& part : mix.parts) {
    if (!std::isfinite(part.weight)) {
      return absl::InvalidArgumentError(
          absl::StrCat("mix: weight ", part.weight, " of \"", part.state, "\", expected a number"));
    }
    all_zero = all_zero && part.weight == 0;
  }
  if (all_zero) {
    return absl::InvalidArgumentError("mix: all weights are 0, expected one that is not");
  }
  return absl::OkStatus();
}

absl::StatusOr<double> Divisor(const StateMix& mix) {
  if (mix.keep_sum) return 1;
  double sum = 0;
  for (const MixPart& part : mix.parts) sum += part.weight;
  if (std::abs(sum) >= kLeastSum) return sum;
  return absl::InvalidArgumentError(
      absl::StrCat("mix: the weights' sum is ", sum,
                   ", expected another than 0, or keep_sum to use them as they are"));
}

}  // namespace

absl::StatusOr<std::vector<MixPart>> NormaliseMix(const StateMix& mix, int max_parts) {
  RETURN_IF_ERROR(CheckWeights(mix, max_parts));
  ASSIGN_OR_RETURN(const double divisor, Divisor(mix));
  std::vector<MixPart> parts;
  for (const MixPart& part : mix.parts) {
    const float weight = static_cast<float>(part.weight / divisor);
    if (!std::isfinite(weight)) {
      return absl::InvalidArgumentError(absl::StrCat("mix: weight ", part.weight, " of \"",
                                                     part.state, "\" is too large beside a sum of ",
                                                     divisor));
    }
    if (weight != 0) parts.push_back({part.state, weight});
  }
  return parts;
}

}  // namespace skein
