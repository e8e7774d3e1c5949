#include "gateway/endpoints/messages.h"

#include <string>

#include "absl/strings/str_cat.h"

#include "gateway/endpoints/errors.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr size_t kMaxMessages = 100000;

absl::Status SetRole(const json::value& value, v1::ChatTurn& turn) {
  const std::string role = StringOf(value);
  turn.set_role(role == "developer" ? "system" : role);
  return absl::OkStatus();
}

absl::Status SetPartText(const json::value& value, std::string& text) {
  text += StringOf(value);
  return absl::OkStatus();
}

const FieldTable<std::string>& TextPartFields() {
  static const FieldTable<std::string> kFields = {
      {{.name = "type",
        .type = FieldType::kEnum,
        .effect = "Kind of the part.",
        .values = "text",
        .required = true}},
      {{.name = "text", .type = FieldType::kString, .effect = "The text.", .required = true},
       SetPartText},
  };
  return kFields;
}

// The texts of a list of parts, joined.
absl::Status ReadParts(absl::string_view path, const json::array& parts, std::string& content) {
  if (parts.empty()) return FieldError(path, "an empty list, expected at least one part");
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = absl::StrCat(path, "[", i, "]");
    if (!parts[i].is_object()) {
      return WrongType(part_path, parts[i], "a text part {\"type\", \"text\"}");
    }
    const json::object& part = parts[i].get_object();
    // An image or a sound is told by its type, before its other fields are called unknown.
    if (const json::value* type = part.if_contains("type"); type != nullptr && !type->is_null()) {
      RETURN_IF_ERROR(
          CheckField(TextPartFields()[0].spec, absl::StrCat(part_path, ".type"), *type));
    }
    RETURN_IF_ERROR(ReadFields(part, TextPartFields(), absl::StrCat(part_path, "."), content));
  }
  return absl::OkStatus();
}

absl::Status ReadMessage(absl::string_view path, const json::value& value, v1::ChatTurn& turn) {
  if (!value.is_object()) return WrongType(path, value, "a message {\"role\", \"content\"}");
  const json::object& message = value.get_object();
  RETURN_IF_ERROR(ReadFields(message, MessageFields(), absl::StrCat(path, "."), turn));
  const json::value& content = message.at("content");
  const std::string content_path = absl::StrCat(path, ".content");
  if (content.is_string()) {
    turn.set_content(StringOf(content));
    return absl::OkStatus();
  }
  if (content.is_array()) {
    return ReadParts(content_path, content.get_array(), *turn.mutable_content());
  }
  return WrongType(content_path, content, "a string or a list of text parts");
}

constexpr FieldSpec Refused(const char* name, const char* reason) {
  return {.name = name, .type = FieldType::kAny, .effect = reason, .use = FieldUse::kRefused};
}

}  // namespace

const FieldTable<v1::ChatTurn>& MessageFields() {
  static const FieldTable<v1::ChatTurn> kFields = {
      {{.name = "role",
        .type = FieldType::kEnum,
        .effect = "Who speaks; `developer` is read as `system`.",
        .values = "system|developer|user|assistant",
        .required = true},
       SetRole},
      {{.name = "content",
        .type = FieldType::kAny,
        .effect = "The text: a string, or a list of parts {\"type\": \"text\", \"text\": ...}, "
                  "which are joined.",
        .required = true}},
      {Refused("name", "chat formats know roles, not names.")},
      {Refused("tool_calls", "tools are not available.")},
      {Refused("tool_call_id", "tools are not available.")},
      {Refused("function_call", "tools are not available.")},
      {Refused("refusal", "models of this server do not mark refusals.")},
      {Refused("audio", "models of this server read and write text only.")},
  };
  return kFields;
}

absl::Status ReadMessages(const json::value& value, v1::Chat& chat) {
  if (!value.is_array()) return WrongType("messages", value, "a list of messages");
  const json::array& messages = value.get_array();
  if (messages.empty() || messages.size() > kMaxMessages) {
    return WithCode(FieldError("messages", absl::StrCat("found ", messages.size(),
                                                        " messages, expected 1 to ", kMaxMessages)),
                    "invalid_value");
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    RETURN_IF_ERROR(ReadMessage(absl::StrCat("messages[", i, "]"), messages[i], *chat.add_turns()));
  }
  return absl::OkStatus();
}

}  // namespace skein
