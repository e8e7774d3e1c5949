#include "worker/models/describe.h"

#include <string>

#include "absl/strings/str_cat.h"

#include "worker/weights/content_hash.h"

namespace skein {
namespace {

absl::string_view FormatName(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return "bf16";
    case DType::kF16:
      return "fp16";
    default:
      return "fp32";
  }
}

}  // namespace

ModelDescription Describe(absl::string_view architecture, const WeightLoader& loader,
                          const WeightMatrix& typical, absl::string_view numbers) {
  ModelDescription description;
  description.architecture = std::string(architecture);
  description.weight_format = std::string(FormatName(typical.dtype));
  description.num_parameters = loader.num_parameters();
  description.fingerprint =
      ContentHash(absl::StrCat(architecture, " ", numbers), loader.fingerprint());
  return description;
}

}  // namespace skein
