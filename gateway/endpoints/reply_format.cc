#include "gateway/endpoints/reply_format.h"

#include <algorithm>
#include <utility>

namespace skein {

namespace json = boost::json;

json::object ReplyObject(const ReplyHead& head, const char* object) {
  json::object reply;
  reply["id"] = head.id;
  reply["object"] = object;
  reply["created"] = head.created;
  reply["model"] = head.model;
  reply["system_fingerprint"] = nullptr;
  if (!head.fingerprint.empty()) reply["system_fingerprint"] = head.fingerprint;
  return reply;
}

json::object UsageJson(const v1::Usage& usage) {
  json::object object = {
      {"prompt_tokens", usage.prompt_tokens()},
      {"completion_tokens", usage.completion_tokens()},
      {"total_tokens", uint64_t{usage.prompt_tokens()} + usage.completion_tokens()},
      {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens()}}}};
  if (usage.state_rows() > 1) object["state_rows"] = usage.state_rows();
  return object;
}

void AddUsage(const v1::Usage& usage, v1::Usage& total) {
  total.set_prompt_tokens(total.prompt_tokens() + usage.prompt_tokens());
  total.set_cached_tokens(total.cached_tokens() + usage.cached_tokens());
  total.set_state_rows(std::max(total.state_rows(), usage.state_rows()));
  total.set_completion_tokens(total.completion_tokens() + usage.completion_tokens());
}

const char* FinishName(v1::FinishReason finish) {
  switch (finish) {
    case v1::FINISH_REASON_STOP:
      return "stop";
    case v1::FINISH_REASON_LENGTH:
      return "length";
    case v1::FINISH_REASON_TOOL_CALLS:
      return "tool_calls";
    default:
      return "";
  }
}

json::value FinishJson(v1::FinishReason finish) {
  if (finish == v1::FINISH_REASON_UNSPECIFIED) return nullptr;
  return FinishName(finish);
}

}  // namespace skein
