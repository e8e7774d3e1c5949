#include "tests/testing/http_client.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

absl::Status ErrnoStatus(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// Waits until `fd` is ready for `events`; false at the deadline.
bool WaitFor(int fd, int16_t events, absl::Time deadline) {
  while (true) {
    const int64_t left_ms = std::max<int64_t>(
        0, absl::ToInt64Milliseconds(deadline - absl::Now() + absl::Milliseconds(1)));
    pollfd poller{fd, events, 0};
    const int ready = poll(&poller, 1, static_cast<int>(std::min<int64_t>(left_ms, 1 << 20)));
    if (ready > 0) return true;
    if (ready == 0 && absl::Now() >= deadline) return false;
    if (ready < 0 && errno != EINTR) return true;  // the following call reports it
  }
}

}  // namespace

std::string ClientResponse::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

HttpClient::HttpClient(int port, absl::Duration timeout) : timeout_(timeout) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) {
    status_ = ErrnoStatus("socket");
    return;
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    status_ = ErrnoStatus("connect");
    return;
  }
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

HttpClient::~HttpClient() { Close(); }

absl::StatusOr<ClientResponse> HttpClient::Request(absl::string_view method,
                                                   absl::string_view target, absl::string_view body,
                                                   const ClientHeaders& headers) {
  RETURN_IF_ERROR(Send(method, target, body, headers));
  return ReadResponse(method == "HEAD");
}

absl::StatusOr<ClientResponse> HttpClient::Post(absl::string_view target, absl::string_view json) {
  return Request("POST", target, json, {{"content-type", "application/json"}});
}

absl::Status HttpClient::Send(absl::string_view method, absl::string_view target,
                              absl::string_view body, const ClientHeaders& headers) {
  std::string text = absl::StrCat(method, " ", target, " HTTP/1.1\r\nhost: 127.0.0.1\r\n");
  for (const auto& [name, value] : headers) absl::StrAppend(&text, name, ": ", value, "\r\n");
  if (!body.empty() || method == "POST") {
    absl::StrAppend(&text, "content-length: ", body.size(), "\r\n");
  }
  absl::StrAppend(&text, "\r\n", body);
  return SendRaw(text);
}

absl::Status HttpClient::SendRaw(absl::string_view bytes) {
  RETURN_IF_ERROR(status_);
  const absl::Time deadline = absl::Now() + timeout_;
  while (!bytes.empty()) {
    if (!WaitFor(fd_, POLLOUT, deadline)) return absl::DeadlineExceededError("send");
    const ssize_t sent = SendSome(bytes);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (sent < 0) return ErrnoStatus("send");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

ssize_t HttpClient::SendSome(absl::string_view bytes) {
  return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t HttpClient::ReceiveSome(char* to, size_t size) { return recv(fd_, to, size, 0); }

absl::Status HttpClient::FillBuffer() {
  RETURN_IF_ERROR(status_);
  if (!HasReceived() && !WaitFor(fd_, POLLIN, absl::Now() + timeout_)) {
    return absl::DeadlineExceededError("receive");
  }
  char bytes[16384];
  const ssize_t size = ReceiveSome(bytes, sizeof(bytes));
  if (size < 0) return ErrnoStatus("receive");
  if (size == 0) return absl::UnavailableError("the server closed the connection");
  buffer_.append(bytes, static_cast<size_t>(size));
  return absl::OkStatus();
}

absl::StatusOr<std::string> HttpClient::ReadLine() {
  size_t end = buffer_.find("\r\n");
  while (end == std::string::npos) {
    RETURN_IF_ERROR(FillBuffer());
    end = buffer_.find("\r\n");
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

absl::StatusOr<std::string> HttpClient::ReadExactly(size_t size) {
  while (buffer_.size() < size) RETURN_IF_ERROR(FillBuffer());
  std::string bytes = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return bytes;
}

absl::StatusOr<ClientResponse> HttpClient::ReadHead() {
  ClientResponse response;
  ASSIGN_OR_RETURN(const std::string first, ReadLine());
  const std::vector<std::string> parts = absl::StrSplit(first, absl::MaxSplits(' ', 2));
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[1], &response.status)) {
    return absl::DataLossError(absl::StrCat("not a status line: ", first));
  }
  response.version = parts[0];
  while (true) {
    ASSIGN_OR_RETURN(const std::string line, ReadLine());
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon == std::string::npos)
      return absl::DataLossError(absl::StrCat("not a header: ", line));
    response.headers[absl::AsciiStrToLower(line.substr(0, colon))] =
        std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
  }
  events_.clear();
  const std::string length = response.Header("content-length");
  if (response.Header("transfer-encoding") == "chunked") {
    framing_ = Framing::kChunked;
  } else if (!length.empty()) {
    framing_ = Framing::kLength;
    if (!absl::SimpleAtoi(length, &body_left_)) return absl::DataLossError("bad content-length");
  } else {
    framing_ =
        response.status < 200 || response.status == 204 ? Framing::kNone : Framing::kUntilClose;
  }
  return response;
}

absl::StatusOr<ClientResponse> HttpClient::ReadResponse(bool head) {
  ASSIGN_OR_RETURN(ClientResponse response, ReadHead());
  if (head) framing_ = Framing::kNone;
  ASSIGN_OR_RETURN(response.body, ReadBody());
  return response;
}

absl::StatusOr<std::string> HttpClient::ReadBody() {
  std::string body;
  while (true) {
    ASSIGN_OR_RETURN(const std::string piece, ReadPiece());
    if (piece.empty()) return body;
    body += piece;
  }
}

absl::StatusOr<std::string> HttpClient::ReadPiece() {
  if (framing_ == Framing::kNone) return std::string();
  if (framing_ == Framing::kChunked) {
    absl::StatusOr<std::string> chunk = ReadChunk();
    if (absl::IsUnavailable(chunk.status()))
      return absl::DataLossError("cut within a chunked body");
    return chunk;
  }
  if (framing_ == Framing::kLength && body_left_ == 0) return std::string();
  if (buffer_.empty()) {
    const absl::Status filled = FillBuffer();
    if (absl::IsUnavailable(filled) && framing_ == Framing::kUntilClose) return std::string();
    if (absl::IsUnavailable(filled)) return absl::DataLossError("cut within the body");
    RETURN_IF_ERROR(filled);
  }
  const size_t size =
      framing_ == Framing::kLength ? std::min(body_left_, buffer_.size()) : buffer_.size();
  body_left_ -= framing_ == Framing::kLength ? size : 0;
  return ReadExactly(size);
}

absl::StatusOr<std::string> HttpClient::ReadChunk() {
  ASSIGN_OR_RETURN(const std::string line, ReadLine());
  uint64_t size = 0;
  if (!absl::SimpleHexAtoi(line, &size)) return absl::DataLossError("bad chunk size: " + line);
  ASSIGN_OR_RETURN(std::string bytes, ReadExactly(size));
  ASSIGN_OR_RETURN(const std::string end, ReadLine());
  if (!end.empty()) return absl::DataLossError("chunk without its end");
  if (size == 0) framing_ = Framing::kNone;
  return bytes;
}

absl::StatusOr<std::optional<ClientEvent>> HttpClient::NextEvent() {
  size_t end = events_.find("\n\n");
  while (end == std::string::npos) {
    ASSIGN_OR_RETURN(const std::string piece, ReadPiece());
    if (piece.empty() && !events_.empty()) return absl::DataLossError("cut within an event");
    if (piece.empty()) return std::optional<ClientEvent>();
    events_ += piece;
    end = events_.find("\n\n");
  }
  const std::string block = events_.substr(0, end);
  events_.erase(0, end + 2);
  ClientEvent event;
  if (absl::StartsWith(block, "data: ")) {
    event.data = block.substr(6);
  } else if (absl::StartsWith(block, ":")) {
    event.comment = block.substr(1);
  } else {
    return absl::DataLossError("not an event: " + block);
  }
  return std::optional<ClientEvent>(std::move(event));
}

void HttpClient::ShutdownWrite() { shutdown(fd_, SHUT_WR); }

void HttpClient::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  if (status_.ok()) status_ = absl::UnavailableError("this client has closed its connection");
}

void HttpClient::Abort() {
  const linger reset{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  Close();
}

bool HttpClient::WaitForClose(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  char bytes[16384];
  while (WaitFor(fd_, POLLIN, deadline)) {
    const ssize_t size = recv(fd_, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size == 0) return true;
    if (size < 0 && errno != EAGAIN && errno != EINTR) return true;
  }
  return false;
}

absl::StatusOr<ClientResponse> HttpGet(int port, absl::string_view target) {
  return HttpClient(port).Get(target);
}

absl::StatusOr<ClientResponse> HttpPost(int port, absl::string_view target,
                                        absl::string_view json) {
  return HttpClient(port).Post(target, json);
}

}  // namespace skein
