// Memory where a stream computes, and copies in the stream's order.
#pragma once

#include <cstddef>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "kernels/device/stream.h"

namespace skein {

// Where the stream computes. ResourceExhausted if the memory cannot be had.
absl::StatusOr<std::unique_ptr<Arena>> CreateArena(const Stream& stream, size_t bytes);
// Host memory that copies to and from that place are fast with: pinned on CUDA.
absl::StatusOr<std::unique_ptr<Arena>> CreateStaging(const Stream& stream, size_t bytes);

// Host memory brought to where the stream computes: on the CPU `host` itself, on CUDA a copy in GPU
// memory. Done on return and apart from what is enqueued: any thread may call it at any time.
absl::StatusOr<std::unique_ptr<Arena>> Upload(const Stream& stream, std::unique_ptr<Arena> host);

// On the CPU done on return. On CUDA enqueued: host memory must come from CreateStaging and stay as
// it is until Synchronize. Internal errors with CUDA's words.
absl::Status Copy(const Stream& stream, void* to, const void* from, size_t bytes);
absl::Status Zero(const Stream& stream, void* to, size_t bytes);
// Returns when everything that was enqueued is done. An error is that of whatever failed.
absl::Status Synchronize(const Stream& stream);

// Kernels and copies of one step, recorded once and enqueued as one. CUDA only.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual absl::Status Launch(const Stream& stream) = 0;
};
// Records what `enqueue` enqueues, which is not run. Everything that it touches must stay where it
// is while the graph lives.
absl::StatusOr<std::unique_ptr<Graph>> Capture(const Stream& stream,
                                               absl::FunctionRef<absl::Status()> enqueue);

}  // namespace skein
