#include "tools/skeinctl/http_client.h"

#include <cerrno>
#include <cstring>
#include <optional>

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include "common/base/status_macros.h"

namespace skein::ctl {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using BeastError = beast::error_code;

constexpr absl::Duration kConnectTimeout = absl::Seconds(10);

// Beast's parser, with each piece of the body handed on as soon as it is parsed.
class ReplyParser : public http::basic_parser<false> {
 public:
  ReplyParser(const HttpCall& call, HttpReply& reply) : call_(call), reply_(reply) {
    body_limit(boost::none);
  }
  bool cancelled() const { return cancelled_; }

 private:
  void on_request_impl(http::verb, beast::string_view, beast::string_view, int,
                       BeastError&) override {}
  void on_response_impl(int code, beast::string_view, int, BeastError&) override {
    reply_.status = code;
  }
  void on_field_impl(http::field, beast::string_view name, beast::string_view value,
                     BeastError&) override {
    reply_.headers.emplace_back(absl::AsciiStrToLower(absl::string_view(name.data(), name.size())),
                                std::string(value.data(), value.size()));
  }
  void on_header_impl(BeastError&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  std::size_t on_body_impl(beast::string_view body, BeastError& error) override {
    if (reply_.status == 200 && call_.on_data) {
      cancelled_ = cancelled_ || !call_.on_data(absl::string_view(body.data(), body.size()));
      if (cancelled_) error = http::make_error_code(http::error::end_of_stream);
    } else {
      reply_.body.append(body.data(), body.size());
    }
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, BeastError&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body,
                                 BeastError& error) override {
    return on_body_impl(body, error);
  }
  void on_finish_impl(BeastError&) override {}

  const HttpCall& call_;
  HttpReply& reply_;
  bool cancelled_ = false;
};

std::string SystemError(int error) { return std::strerror(error); }

// Feeds what the server sent; no bytes stand for the end of the connection.
absl::Status Parse(const std::string& bytes, std::string& pending, ReplyParser& parser) {
  BeastError error;
  if (bytes.empty()) {
    if (parser.got_some()) parser.put_eof(error);
    if (parser.is_done() && !error) return absl::OkStatus();
    return absl::DataLossError("the server closed the connection before its answer was complete");
  }
  pending += bytes;
  while (!pending.empty() && !parser.is_done() && !error) {
    pending.erase(0, parser.put(boost::asio::buffer(pending), error));
  }
  if (parser.cancelled()) return absl::CancelledError("stopped by the caller");
  if (error && error != http::error::need_more) {
    return absl::DataLossError(absl::StrCat("the answer is not HTTP: ", error.message()));
  }
  return absl::OkStatus();
}

}  // namespace

struct HttpClient::Progress {
  bool received = false;  // a byte of the answer has come
};

absl::StatusOr<Url> ParseUrl(absl::string_view text) {
  absl::string_view rest = text;
  if (absl::StartsWith(rest, "http://")) rest.remove_prefix(7);
  if (absl::StrContains(rest, "://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("url: \"", text, "\", expected http://HOST:PORT"));
  }
  Url url;
  const size_t slash = rest.find('/');
  if (slash != absl::string_view::npos) {
    url.path = std::string(rest.substr(slash));
    while (absl::EndsWith(url.path, "/")) url.path.pop_back();
    rest = rest.substr(0, slash);
  }
  const size_t colon = rest.rfind(':');
  const bool has_port = colon != absl::string_view::npos && !absl::EndsWith(rest, "]");
  absl::string_view host = has_port ? rest.substr(0, colon) : rest;
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    host = host.substr(1, host.size() - 2);
  }
  url.host = std::string(host);
  url.port = has_port ? std::string(rest.substr(colon + 1)) : "80";
  int port = 0;
  if (url.host.empty() || !absl::SimpleAtoi(url.port, &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("url: \"", text, "\", expected http://HOST:PORT"));
  }
  return url;
}

absl::string_view HttpReply::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

HttpClient::HttpClient(Url url, absl::Duration idle_timeout)
    : url_(std::move(url)), idle_timeout_(idle_timeout) {}

HttpClient::~HttpClient() { Close(); }

absl::StatusOr<HttpReply> HttpClient::Send(const HttpCall& call) {
  const bool reused = fd_ >= 0;
  Progress progress;
  absl::StatusOr<HttpReply> reply = SendOnce(call, progress);
  // The server may have closed an idle connection just before it was used again.
  if (!reply.ok() && absl::IsDataLoss(reply.status()) && reused && !progress.received) {
    reply = SendOnce(call, progress);
  }
  return reply;
}

absl::StatusOr<HttpReply> HttpClient::SendOnce(const HttpCall& call, Progress& progress) {
  if (fd_ < 0) RETURN_IF_ERROR(Connect());
  std::string head =
      absl::StrCat(call.method, " ", url_.path, call.path, " HTTP/1.1\r\nHost: ", url_.host, ":",
                   url_.port, "\r\nUser-Agent: skeinctl\r\n");
  if (!url_.api_key.empty()) {
    absl::StrAppend(&head, "Authorization: Bearer ", url_.api_key, "\r\n");
  }
  if (!call.body.empty() || call.method == "POST") {
    absl::StrAppend(&head, "Content-Type: application/json\r\nContent-Length: ", call.body.size(),
                    "\r\n");
  }
  absl::StatusOr<HttpReply> reply;
  if (absl::Status sent = Write(absl::StrCat(head, "\r\n", call.body)); sent.ok()) {
    reply = Read(call, progress);
  } else {
    reply = sent;
  }
  if (!reply.ok()) Close();
  return reply;
}

absl::Status HttpClient::Connect() {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string where = absl::StrCat(url_.host, ":", url_.port);
  if (const int error = getaddrinfo(url_.host.c_str(), url_.port.c_str(), &hints, &found);
      error != 0) {
    return absl::UnavailableError(absl::StrCat(where, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  absl::Status status = absl::UnavailableError(absl::StrCat(where, ": no address"));
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    fd_ = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return absl::UnavailableError(absl::StrCat("socket: ", SystemError(errno)));
    int error = connect(fd_, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof(error);
      status = Wait(Direction::kWrite, absl::Now() + kConnectTimeout);
      error = ETIMEDOUT;
      if (status.ok()) getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error == 0) {
      const int on = 1;
      setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      return absl::OkStatus();
    }
    status = absl::UnavailableError(
        absl::StrCat(where, ": ", absl::AsciiStrToLower(SystemError(error))));
    Close();
  }
  return status;
}

absl::Status HttpClient::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      RETURN_IF_ERROR(Wait(Direction::kWrite, absl::Now() + idle_timeout_));
    } else if (errno != EINTR) {
      return absl::DataLossError(absl::StrCat("send: ", SystemError(errno)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<HttpReply> HttpClient::Read(const HttpCall& call, Progress& progress) {
  HttpReply reply;
  ReplyParser parser(call, reply);
  std::string pending;  // bytes that the parser wants more of before it takes them
  while (!parser.is_done()) {
    ASSIGN_OR_RETURN(const std::string bytes, Receive());
    progress.received = progress.received || !bytes.empty();
    RETURN_IF_ERROR(Parse(bytes, pending, parser));
  }
  if (!parser.keep_alive()) Close();
  return reply;
}

absl::StatusOr<std::string> HttpClient::Receive() {
  char buffer[16384];
  while (true) {
    RETURN_IF_ERROR(Wait(Direction::kRead, absl::Now() + idle_timeout_));
    const ssize_t received = recv(fd_, buffer, sizeof(buffer), 0);
    if (received >= 0) return std::string(buffer, static_cast<size_t>(received));
    if (errno != EINTR && errno != EAGAIN) {
      return absl::DataLossError(absl::StrCat("recv: ", SystemError(errno)));
    }
  }
}

absl::Status HttpClient::Wait(Direction direction, absl::Time deadline) const {
  while (true) {
    const absl::Duration left = std::max(deadline - absl::Now(), absl::ZeroDuration());
    pollfd entry = {};
    entry.fd = fd_;
    entry.events = direction == Direction::kRead ? POLLIN : POLLOUT;
    const int ready =
        poll(&entry, 1,
             static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 1 << 30)));
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) return absl::DeadlineExceededError("the server sent nothing in time");
    if (errno != EINTR) return absl::UnavailableError(absl::StrCat("poll: ", SystemError(errno)));
  }
}

void HttpClient::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace skein::ctl
