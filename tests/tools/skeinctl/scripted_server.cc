#include "tests/tools/skeinctl/scripted_server.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace skein::ctl {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::perror(what);
  std::abort();
}

// Reads one request into its head and its body; false at the end of the connection.
bool ReadRequest(int fd, std::string& head_text, std::string& body) {
  std::string bytes;
  size_t head = std::string::npos;
  size_t length = 0;
  char buffer[4096];
  while (head == std::string::npos || bytes.size() < head + 4 + length) {
    const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    bytes.append(buffer, static_cast<size_t>(got));
    if (head != std::string::npos) continue;
    head = bytes.find("\r\n\r\n");
    const size_t field = bytes.find("Content-Length: ");
    if (head != std::string::npos && field < head)
      length = std::strtoul(bytes.c_str() + field + 16, nullptr, 10);
  }
  head_text = bytes.substr(0, head + 2);
  body = bytes.substr(head + 4);
  return true;
}

}  // namespace

ScriptedAnswer JsonAnswer(int status, const std::string& body) {
  return {.pieces = {absl::StrCat("HTTP/1.1 ", status,
                                  " X\r\nContent-Type: application/json\r\nContent-Length: ",
                                  body.size(), "\r\n\r\n", body)}};
}

ScriptedAnswer EventsAnswer(const std::vector<std::string>& events) {
  ScriptedAnswer answer;
  answer.pieces.push_back(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const std::string& event : events) {
    answer.pieces.push_back(absl::StrFormat("%x\r\ndata: %s\n\n\r\n", event.size() + 8, event));
  }
  answer.pieces.push_back("0\r\n\r\n");
  return answer;
}

ScriptedServer::ScriptedServer(Answer answer) : answer_(std::move(answer)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  Require(bind(listener_, generic, size) == 0 && listen(listener_, 16) == 0, "listen");
  Require(getsockname(listener_, generic, &size) == 0, "getsockname");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    stop_ = true;
    if (current_ >= 0) shutdown(current_, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);
  thread_.join();
  close(listener_);
}

std::string ScriptedServer::url() const { return absl::StrCat("http://127.0.0.1:", port_); }

int ScriptedServer::connections() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return connections_;
}

std::string ScriptedServer::last_head() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return last_head_;
}

void ScriptedServer::Serve() {
  while (true) {
    const int fd = accept(listener_, nullptr, nullptr);
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (fd < 0 || stop_) {
        if (fd >= 0) close(fd);
        return;
      }
      current_ = fd;
      ++connections_;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ServeConnection(fd);
    const std::lock_guard<std::mutex> lock(mu_);
    current_ = -1;
    close(fd);
  }
}

void ScriptedServer::ServeConnection(int fd) {
  std::string head, body;
  while (ReadRequest(fd, head, body)) {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      last_head_ = head;
    }
    const ScriptedAnswer answer = answer_(head.substr(0, head.find('\r')), body);
    for (const std::string& piece : answer.pieces) {
      if (send(fd, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
    }
    if (answer.close) return;
  }
}

}  // namespace skein::ctl
