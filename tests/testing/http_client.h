// A small blocking HTTP/1.1 client for tests, over plain sockets: what it sends is what the test
// wrote, byte for byte.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace skein {

using ClientHeaders = std::vector<std::pair<std::string, std::string>>;

struct ClientResponse {
  int status = 0;
  std::string version;                         // "HTTP/1.1"
  std::map<std::string, std::string> headers;  // names in lower case; of repeated ones the last
  std::string body;

  std::string Header(const std::string& name) const;  // empty if absent
};

// What came next on an event stream.
struct ClientEvent {
  std::string data;     // after "data: "
  std::string comment;  // after ":"; one of the two is empty
};

// One connection to 127.0.0.1. Not thread-safe. Every wait ends after `timeout` with
// DeadlineExceeded; a connection that the server closed gives Unavailable.
class HttpClient {
 public:
  explicit HttpClient(int port, absl::Duration timeout = absl::Seconds(10));
  virtual ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // OK once connected.
  const absl::Status& status() const { return status_; }

  // Sends a request with Host and Content-Length and reads the whole answer. May be called again on
  // the same connection.
  absl::StatusOr<ClientResponse> Request(absl::string_view method, absl::string_view target,
                                         absl::string_view body = "",
                                         const ClientHeaders& headers = {});
  absl::StatusOr<ClientResponse> Get(absl::string_view target) { return Request("GET", target); }
  absl::StatusOr<ClientResponse> Post(absl::string_view target, absl::string_view json);

  // The parts of Request. Calls follow: Send, then ReadResponse, or ReadHead and NextEvent* or
  // ReadBody.
  absl::Status Send(absl::string_view method, absl::string_view target, absl::string_view body = "",
                    const ClientHeaders& headers = {});
  absl::Status SendRaw(absl::string_view bytes);
  // `head`: the answer to a HEAD request, which has no body. Answers of 1xx are returned as they
  // come.
  absl::StatusOr<ClientResponse> ReadResponse(bool head = false);
  absl::StatusOr<ClientResponse> ReadHead();
  // The rest of the body. DataLoss if the connection ends within it.
  absl::StatusOr<std::string> ReadBody();
  // The next event or comment of an event stream; nullopt at its proper end, DataLoss if it is cut.
  absl::StatusOr<std::optional<ClientEvent>> NextEvent();

  void ShutdownWrite();
  void Close();
  // Closes with a reset, as a killed client does.
  void Abort();
  // True if the server closes the connection (or has), false if it is still open after `timeout`.
  // Unread bytes are dropped.
  bool WaitForClose(absl::Duration timeout);
  int fd() const { return fd_; }

 protected:
  // What carries the bytes, as send and recv do; a subclass may wrap them.
  virtual ssize_t SendSome(absl::string_view bytes);
  virtual ssize_t ReceiveSome(char* to, size_t size);
  // Received and unwrapped already: ReceiveSome need not wait for the socket.
  virtual bool HasReceived() const { return false; }
  void SetStatus(absl::Status status) { status_ = std::move(status); }

 private:
  absl::Status FillBuffer();
  absl::StatusOr<std::string> ReadLine();
  absl::StatusOr<std::string> ReadExactly(size_t size);
  // The next piece of the body; empty at its end.
  absl::StatusOr<std::string> ReadPiece();
  absl::StatusOr<std::string> ReadChunk();

  enum class Framing { kNone, kLength, kChunked, kUntilClose };

  const absl::Duration timeout_;
  int fd_ = -1;
  absl::Status status_;
  std::string buffer_;  // received, not yet consumed
  Framing framing_ = Framing::kNone;
  size_t body_left_ = 0;
  std::string events_;  // body of an event stream, not yet cut into events
};

// Asks on a new connection.
absl::StatusOr<ClientResponse> HttpGet(int port, absl::string_view target);
absl::StatusOr<ClientResponse> HttpPost(int port, absl::string_view target, absl::string_view json);

}  // namespace skein
