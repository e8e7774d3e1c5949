// The messages of a request's calls as OpenAI objects: one interface, four forms (chat or plain,
// streamed or whole).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "boost/json/object.hpp"
#include "boost/json/value.hpp"

#include "skein/v1/inference.pb.h"

namespace skein {

// The same on every chunk of a reply.
struct ReplyHead {
  std::string id;
  int64_t created = 0;  // Unix seconds
  std::string model;
  std::string fingerprint;  // empty: null
};

// Not thread-safe. Calls follow: OnMessage* Finish.
class ReplyFormat {
 public:
  virtual ~ReplyFormat() = default;
  // Takes a message of the call for prompt `prompt_index`. Returns the events to send now, each
  // JSON text in one line; none if the reply is sent whole.
  virtual std::vector<std::string> OnMessage(size_t prompt_index,
                                             const v1::GenerateResponse& message) = 0;
  // All calls have ended well: the last event if there is one, or the whole body. Empty: nothing.
  virtual std::string Finish() = 0;
};

// {"id", "object", "created", "model", "system_fingerprint"}.
boost::json::object ReplyObject(const ReplyHead& head, const char* object);
boost::json::object UsageJson(const v1::Usage& usage);
// Adds what another call of the same request used.
void AddUsage(const v1::Usage& usage, v1::Usage& total);
// "stop", "length", "tool_calls"; empty while a choice runs.
const char* FinishName(v1::FinishReason finish);
// The same; null while a choice runs.
boost::json::value FinishJson(v1::FinishReason finish);

}  // namespace skein
