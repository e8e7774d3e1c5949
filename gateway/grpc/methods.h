// The methods that the gateway passes on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include <grpcpp/support/byte_buffer.h>

#include "gateway/access/key_table.h"
#include "gateway/metrics.h"
#include "gateway/routing/worker_pool.h"

namespace skein {

// What of a request decides where it goes and whether it may.
struct RequestFacts {
  PickRequest pick;
  uint64_t tokens = 0;         // that it will use, at a guess
  uint64_t prompt_tokens = 0;  // of these
  uint32_t choices = 1;
};

struct RpcMethod {
  const char* path;
  Role role;  // that a key needs
  // InvalidArgument if the bytes are no request of this method.
  absl::StatusOr<RequestFacts> (*read)(const grpc::ByteBuffer& request);
  // Tokens that the one answer of a call stands for. Null: the method uses none, or tells of them
  // in its messages.
  uint64_t (*used)(const grpc::ByteBuffer& answer) = nullptr;
};

extern const RpcMethod kGenerate, kScore, kTokenize, kDetokenize;
extern const RpcMethod kLoadState, kDefineMixture, kLoadAdapter, kRemove, kList;

// Has the calls of all of them counted from 0, by the HTTP status that stands for their end.
void ExpectCalls(GatewayMetrics& metrics);

}  // namespace skein
