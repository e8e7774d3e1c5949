// A request that the HTTP server hands to a handler, and the handler's way to answer it. Nothing of
// Asio or Beast.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/trace_context.h"
#include "gateway/http/access_record.h"

namespace skein {

enum class Method { kGet, kPost, kDelete, kPut, kOptions, kHead, kOther };

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  Method method = Method::kGet;
  std::string path;    // decoded, without the query
  std::string query;   // raw, without '?'
  HeaderList headers;  // names in lower case
  std::string body;
  std::string
      request_id;  // the client's x-request-id if it is sane, else a new one; echoed in the answer
  TraceContext trace;  // a span of ours in the client's trace, or in a new one
  absl::Time received;
  std::shared_ptr<AccessRecord> access = std::make_shared<AccessRecord>();

  // Value of a header by its lower-case name; empty if absent.
  absl::string_view Header(absl::string_view name) const;
  // Those of all headers of that name, in their order.
  std::vector<absl::string_view> HeadersOf(absl::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  HeaderList headers;  // besides those that the server adds
};

// One server-sent event stream. Thread-safe; calls after the client has left are ignored.
class SseWriter {
 public:
  virtual ~SseWriter() = default;
  // Sends `data: DATA\n\n`. Never blocks: what the client does not take waits in memory, so who can
  // write much asks AwaitRoom in between. `data` must not contain a newline.
  virtual void Event(absl::string_view data) = 0;
  // False if there is room for more. True if the client has not taken enough of what was sent:
  // `on_room` runs once, on a server thread, when it has, or when the stream is over.
  virtual bool AwaitRoom(std::function<void()> on_room) = 0;
  // Ends the response.
  virtual void Close() = 0;
};

// Answers one request, exactly once: Send, or StartEvents. Thread-safe. If the last reference is
// dropped without an answer, the client gets a 500.
class HttpResponder {
 public:
  virtual ~HttpResponder() = default;
  // A header of the answer, whichever it will be; for calls before Send and StartEvents.
  virtual void AddHeader(std::string name, std::string value) = 0;
  virtual void Send(HttpResponse response) = 0;
  // Sends the head of an event stream. Comments keep it alive while no event comes.
  virtual std::shared_ptr<SseWriter> StartEvents() = 0;
  // `callback` runs at most once, on a server thread, when the client disconnects before the answer
  // is complete; at once if it already has. Later calls replace it.
  virtual void OnDisconnect(std::function<void()> callback) = 0;
  // `callback` runs at most once, on a server thread, when the client has been left without any
  // byte for as long as an event stream is. It may call StartEvents, so that comments follow. Later
  // calls replace it.
  virtual void OnSilence(std::function<void()> callback) = 0;
  // `callback` runs at most once, on a server thread, when the server ends and the time for open
  // answers is over: what it does not end at once is cut off without a word. Later calls replace
  // it.
  virtual void OnShutdown(std::function<void()> callback) = 0;
};

}  // namespace skein
