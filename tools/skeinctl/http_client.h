// A blocking HTTP/1.1 client over one kept-alive connection.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace skein::ctl {

struct Url {
  std::string host;
  std::string port;
  std::string path;     // without a slash at the end; often empty
  std::string api_key;  // sent with every call unless empty; not a part of the text
};

// "http://HOST[:PORT][/PATH]", also without "http://". InvalidArgument for anything else.
absl::StatusOr<Url> ParseUrl(absl::string_view text);

struct HttpReply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  // Value of a header by its lower-case name; empty if absent.
  absl::string_view Header(absl::string_view name) const;
};

struct HttpCall {
  std::string method = "GET";
  std::string path;       // appended to the URL's
  std::string body = {};  // JSON; empty for none
  // Gets the pieces of a 200 answer's body as they arrive, instead of HttpReply::body. False closes
  // the connection: the call ends with Cancelled.
  std::function<bool(absl::string_view)> on_data = nullptr;
};

// Not thread-safe: one client per thread.
class HttpClient {
 public:
  // `idle_timeout` bounds each wait for the server's next byte.
  explicit HttpClient(Url url, absl::Duration idle_timeout = absl::Minutes(10));
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any HTTP status is a reply. Unavailable if the server cannot be reached, DeadlineExceeded if it
  // falls silent, DataLoss if it closes too early or does not speak HTTP, Cancelled when on_data
  // said so.
  absl::StatusOr<HttpReply> Send(const HttpCall& call);

 private:
  struct Progress;
  enum class Direction { kRead, kWrite };

  absl::StatusOr<HttpReply> SendOnce(const HttpCall& call, Progress& progress);
  absl::Status Connect();
  absl::Status Write(absl::string_view bytes);
  absl::StatusOr<HttpReply> Read(const HttpCall& call, Progress& progress);
  absl::StatusOr<std::string> Receive();  // empty at the end of the connection
  absl::Status Wait(Direction direction, absl::Time deadline) const;
  void Close();

  const Url url_;
  const absl::Duration idle_timeout_;
  int fd_ = -1;
};

}  // namespace skein::ctl
