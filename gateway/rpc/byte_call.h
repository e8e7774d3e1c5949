// Calls to workers whose messages stay bytes: one request goes out, and responses come back one by
// one, as fast as the caller takes them. A unary method is a call with one response.
#pragma once

#include <functional>
#include <memory>

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include "gateway/routing/worker_pool.h"
#include "gateway/rpc/inference_client.h"

namespace skein {

inline constexpr char kGenerateMethod[] = "/skein.v1.InferenceService/Generate";

struct ByteRequest {
  const char* method = nullptr;  // such as kGenerateMethod; a literal
  grpc::ByteBuffer message;
};

// On gRPC threads.
struct ByteCallbacks {
  // One at a time, in order. May swap the bytes away. The next one comes after ReadNext.
  std::function<void(grpc::ByteBuffer&)> on_message;
  // Once, last, with words for clients (EndForClients). Cancelled only after Cancel, which brings
  // it even if the last message was not followed by ReadNext; Unavailable if the worker ended the
  // call.
  std::function<void(const grpc::Status&)> on_done;
};

// Thread-safe. A started call keeps itself until on_done has returned; dropping it does not cancel
// it.
class ByteCall {
 public:
  virtual ~ByteCall() = default;
  // Once, before ReadNext. Callbacks may run before it returns.
  virtual void Start() = 0;
  // After each message, within on_message or later. The worker can send a little ahead (gRPC's
  // flow control), and then waits.
  virtual void ReadNext() = 0;
  // At any time. on_done follows with Cancelled, unless the call has just ended by itself.
  virtual void Cancel() = 0;
};

// A call on `worker`, not yet started.
std::shared_ptr<ByteCall> MakeByteCall(const WorkerHandle& worker, ByteRequest request,
                                       const CallOptions& options, ByteCallbacks callbacks);

}  // namespace skein
