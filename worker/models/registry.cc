#include "worker/models/registry.h"

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/models/hybrid/model.h"
#include "worker/models/rwkv7/model.h"
#include "worker/models/variants.h"

namespace skein {
namespace {

struct Architecture {
  const char* name;
  bool (*matches)(const ModelFiles& files);
  absl::StatusOr<std::unique_ptr<Model>> (*load)(const ModelFiles& files,
                                                 const ModelLoadOptions& options,
                                                 const Stream& stream);
};

// First match wins, so the more specific architecture stands higher.
constexpr Architecture kArchitectures[] = {
    {"hybrid", hybrid::Matches, hybrid::Load},
    {"rwkv7", rwkv7::Matches, rwkv7::Load},
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ModelFiles& files,
                                                 const ModelLoadOptions& options,
                                                 const Stream& stream) {
  if (options.max_rows < 1) return absl::InvalidArgumentError("max_rows must be at least 1");
  RETURN_IF_ERROR(RefuseKnownVariants(files));
  for (const Architecture& architecture : kArchitectures) {
    if (!architecture.matches(files)) continue;
    absl::StatusOr<std::unique_ptr<Model>> model = architecture.load(files, options, stream);
    if (model.ok()) return model;
    return absl::Status(model.status().code(),
                        absl::StrCat(architecture.name, ": ", model.status().message()));
  }
  return absl::UnimplementedError(
      "the checkpoint is neither RWKV-7 x070 nor an hxa079 hybrid: its tensors have other names");
}

}  // namespace skein
