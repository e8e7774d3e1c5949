// Reads a Protobuf message in text format, with errors that lead to the place.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace skein {

// What an error repeats of the text. Of a file with secrets only the place: a secret in the wrong
// place must not get into a log.
enum class TextErrors { kWithLine, kPlaceOnly };

// Replaces `message` by what `text` says. InvalidArgument if it does not parse, such as
//   worker.conf:3:7: Expected integer, got: "many", in line `max_queue: "many"`
// with `source` in front. Unknown fields and fields given twice are errors.
absl::Status ParseTextProto(absl::string_view text, absl::string_view source,
                            google::protobuf::Message& message,
                            TextErrors errors = TextErrors::kWithLine);

// The same for a file. NotFound if it cannot be opened.
absl::Status ReadTextProtoFile(const std::string& path, google::protobuf::Message& message,
                               TextErrors errors = TextErrors::kWithLine);

template <typename Message>
absl::StatusOr<Message> ReadTextProto(const std::string& path,
                                      TextErrors errors = TextErrors::kWithLine) {
  Message message;
  absl::Status status = ReadTextProtoFile(path, message, errors);
  if (!status.ok()) return status;
  return message;
}

}  // namespace skein
