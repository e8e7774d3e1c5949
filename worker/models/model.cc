#include "worker/models/model.h"

#include "worker/adapters/bound_adapter.h"

namespace skein {

absl::StatusOr<std::shared_ptr<const BoundAdapter>> Model::Bind(std::shared_ptr<const Adapter>,
                                                                const Stream&) const {
  return absl::UnimplementedError("this model takes no adapters");
}

}  // namespace skein
