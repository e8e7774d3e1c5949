// SKEIN_DISPATCH(Op, args, stream): the body of every operation. Validates `args`, then runs OpCpu
// on the stream's threads or enqueues OpCuda. The enclosing function returns absl::Status.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/device/stream.h"

#if SKEIN_CUDA
#define SKEIN_DISPATCH_CUDA(Op, args, stream) return Op##Cuda(args, (stream).cuda())
#else
#define SKEIN_DISPATCH_CUDA(Op, args, stream) \
  return ::absl::InternalError(#Op ": called with a CUDA stream in a build without CUDA")
#endif

#define SKEIN_DISPATCH(Op, args, stream)   \
  do {                                     \
    RETURN_IF_ERROR((args).Validate());    \
    if ((stream).on_cpu()) {               \
      Op##Cpu(args, (stream).threads());   \
      return ::absl::OkStatus();           \
    }                                      \
    SKEIN_DISPATCH_CUDA(Op, args, stream); \
  } while (false)
