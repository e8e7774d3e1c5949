// What the launchers of CUDA bodies share.
#pragma once

#include <cuda_runtime.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace skein {

// Internal, with CUDA's words, if the kernel before could not be launched.
inline absl::Status LaunchStatus(absl::string_view kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(kernel, ": ", cudaGetErrorString(error)));
}

}  // namespace skein
