// Reads a Protobuf message in text format, with errors that lead to the place.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace skein {

// Replaces `message` by what `text` says. InvalidArgument if it does not parse, such as
//   worker.conf:3:7: Expected integer, got: "many", in line `max_queue: "many"`
// with `source` in front. Unknown fields and fields given twice are errors.
absl::Status ParseTextProto(absl::string_view text, absl::string_view source,
                            google::protobuf::Message& message);

// The same for a file. NotFound if it cannot be opened.
absl::Status ReadTextProtoFile(const std::string& path, google::protobuf::Message& message);

template <typename Message>
absl::StatusOr<Message> ReadTextProto(const std::string& path) {
  Message message;
  absl::Status status = ReadTextProtoFile(path, message);
  if (!status.ok()) return status;
  return message;
}

}  // namespace skein
