// Messages to and from the bytes that calls carry.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

namespace skein {

template <typename Message>
grpc::ByteBuffer ToBytes(const Message& message) {
  grpc::Slice slice(message.ByteSizeLong());
  // The slice is ours alone until it goes into the buffer.
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

// InvalidArgument if `bytes`, which stay as they are, are not a Message.
template <typename Message>
absl::StatusOr<Message> ParseBytes(const grpc::ByteBuffer& bytes) {
  grpc::ByteBuffer copy(bytes);  // of references; the reader wants one that it may change
  grpc::ProtoBufferReader reader(&copy);
  Message message;
  if (reader.status().ok() && message.ParseFromZeroCopyStream(&reader)) return message;
  return absl::InvalidArgumentError(
      absl::StrCat("the message is not a ", Message::descriptor()->full_name()));
}

}  // namespace skein
