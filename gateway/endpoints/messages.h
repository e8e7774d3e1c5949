// The `messages` of a chat, as turns.
#pragma once

#include "absl/status/status.h"

#include "gateway/endpoints/field_table.h"
#include "skein/v1/inference.pb.h"

namespace skein {

const FieldTable<v1::ChatTurn>& MessageFields();

// Appends a turn per message. `developer` becomes `system`; a content of several text parts becomes
// their texts joined. InvalidArgument naming the part, as in messages[2].content[0].type.
absl::Status ReadMessages(const boost::json::value& value, v1::Chat& chat);

}  // namespace skein
