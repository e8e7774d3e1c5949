// A TCP proxy that stops passing bytes on, or answers alone, while its connection stays open: to
// both ends the other machine has vanished without a word, or to one it is slow to answer.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace skein {

// Carries connections to 127.0.0.1:`port`.
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
  void HoldAnswers(bool hold) { held_ = hold; }
  size_t bytes_to_server() const { return bytes_to_server_; }

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

  struct Link {
    int client, server;
  };

  void Run() {
    std::vector<Link> links;
    while (!stopping_) {
      pollfd waiting = {listener_, POLLIN, 0};
      if (poll(&waiting, 1, 0) > 0) Accept(links);
      if (frozen_ || links.empty()) {
        poll(nullptr, 0, kPollMs);
        continue;
      }
      std::vector<pollfd> ends;
      for (const Link& link : links) {
        ends.push_back({link.client, POLLIN, 0});
        ends.push_back({link.server, POLLIN, 0});
      }
      if (poll(ends.data(), ends.size(), kPollMs) <= 0) continue;
      if (held_) poll(nullptr, 0, 1);  // answers stay where they are
      for (size_t i = links.size(); i-- > 0;) {
        if (Carry(links[i], ends[2 * i].revents != 0, ends[2 * i + 1].revents != 0)) continue;
        Close(links[i]);
        links.erase(links.begin() + static_cast<ptrdiff_t>(i));
      }
    }
    for (const Link& link : links) Close(link);
  }

  void Accept(std::vector<Link>& links) {
    const Link link = {accept(listener_, nullptr, nullptr), socket(AF_INET, SOCK_STREAM, 0)};
    if (connect(link.server, AsSockaddr(&target_), sizeof(target_)) == 0) {
      links.push_back(link);
    } else {
      Close(link);
    }
  }

  static void Close(const Link& link) {
    close(link.client);
    close(link.server);
  }

  // False if an end is gone.
  bool Carry(const Link& link, bool from_client, bool from_server) {
    if (from_client) {
      const ssize_t moved = Move(link.client, link.server);
      if (moved <= 0) return false;
      bytes_to_server_ += static_cast<size_t>(moved);
    }
    return !from_server || held_ || Move(link.server, link.client) > 0;
  }

  // How many bytes; none or fewer if an end is gone.
  static ssize_t Move(int from, int to) {
    std::array<char, 65536> bytes;
    const ssize_t size = recv(from, bytes.data(), bytes.size(), 0);
    if (size <= 0) return size;
    return send(to, bytes.data(), static_cast<size_t>(size), MSG_NOSIGNAL) == size ? size : -1;
  }

  const int listener_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in target_;
  std::string address_;
  std::atomic<bool> frozen_{false};
  std::atomic<bool> held_{false};
  std::atomic<size_t> bytes_to_server_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace skein
