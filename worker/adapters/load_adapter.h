// Files of an adapter -> Adapter. docs/adapters.md.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "absl/status/statusor.h"

#include "kernels/device/parallel_for.h"
#include "worker/adapters/adapter.h"
#include "worker/adapters/adapter_plan.h"
#include "worker/adapters/base_tensors.h"
#include "worker/adapters/peft_config.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

// Reads the adapter at `path` (what it may be: adapter_files.h) for the model of `base`. May run on
// any thread beside the step loop, with `threads` of its own; takes as long as reading the file,
// and for DoRA a product with each weight that it changes. Nothing of the file is needed
// afterwards. Messages start with the file's name, without its folder, and are meant for clients.
// NotFound: no such file. PermissionDenied. InvalidArgument: not an adapter, or not one for this
// model. DataLoss: damaged, or values that are not finite. Unimplemented: known but not supported.
// ResourceExhausted: no memory.
absl::StatusOr<Adapter> LoadAdapter(const std::string& path, const AdapterOptions& options,
                                    const BaseTensors& base, ParallelFor& threads);

// The same from tensors that were read already, of one or several files.
absl::StatusOr<Adapter> MakeAdapter(std::span<const NamedTensor> tensors,
                                    const std::optional<PeftConfig>& peft,
                                    const AdapterOptions& options, const BaseTensors& base,
                                    ParallelFor& threads);

}  // namespace skein
