// A TCP proxy that stops passing bytes on while its connection stays open: to both ends the other
// machine has vanished without a word.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace skein {

// Carries one connection to 127.0.0.1:`port`.
class FreezingProxy {
 public:
  explicit FreezingProxy(int port) : target_(Loopback(port)) {
    sockaddr_in own = Loopback(0);
    socklen_t size = sizeof(own);
    const bool listens = bind(listener_, AsSockaddr(&own), size) == 0 &&
                         listen(listener_, 8) == 0 &&
                         getsockname(listener_, AsSockaddr(&own), &size) == 0;
    address_ = absl::StrCat("127.0.0.1:", listens ? ntohs(own.sin_port) : 0);
    thread_ = std::thread([this] { Run(); });
  }
  ~FreezingProxy() {
    stopping_ = true;
    thread_.join();
    close(listener_);
  }
  FreezingProxy(const FreezingProxy&) = delete;
  FreezingProxy& operator=(const FreezingProxy&) = delete;

  const std::string& address() const { return address_; }
  void Freeze() { frozen_ = true; }

 private:
  static constexpr int kPollMs = 10;

  static sockaddr_in Loopback(int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static sockaddr* AsSockaddr(sockaddr_in* address) { return reinterpret_cast<sockaddr*>(address); }

  void Run() {
    pollfd waiting = {listener_, POLLIN, 0};
    while (!stopping_ && poll(&waiting, 1, kPollMs) <= 0) {
    }
    if (stopping_) return;
    const int client = accept(listener_, nullptr, nullptr);
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(server, AsSockaddr(&target_), sizeof(target_)) == 0) Carry(client, server);
    close(client);
    close(server);
  }

  void Carry(int client, int server) {
    while (!stopping_) {
      std::array<pollfd, 2> ends = {pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
      const int ready = poll(ends.data(), frozen_ ? 0 : ends.size(), kPollMs);
      if (ready <= 0) continue;
      if (ends[0].revents != 0 && !Move(client, server)) return;
      if (ends[1].revents != 0 && !Move(server, client)) return;
    }
  }

  static bool Move(int from, int to) {
    std::array<char, 65536> bytes;
    const ssize_t size = recv(from, bytes.data(), bytes.size(), 0);
    return size > 0 && send(to, bytes.data(), static_cast<size_t>(size), MSG_NOSIGNAL) == size;
  }

  const int listener_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in target_;
  std::string address_;
  std::atomic<bool> frozen_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace skein
