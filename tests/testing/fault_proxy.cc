#include "tests/testing/fault_proxy.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace skein {
namespace {

constexpr int kPollMs = 2;
constexpr size_t kPieceBytes = 16384;
constexpr size_t kMaxQueuedBytes = 1 << 20;  // of one direction, before it is read no more

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

sockaddr* AsSockaddr(sockaddr_in* address) { return reinterpret_cast<sockaddr*>(address); }

struct Piece {
  absl::Time due;
  std::string bytes;
};

// Bytes on their way from one socket to another.
struct Direction {
  int from = -1, to = -1;
  std::deque<Piece> pieces;
  size_t queued = 0;
  bool ended = false;       // `from` has sent its last byte
  bool passed_end = false;  // and `to` was told
};

struct Link {
  int client = -1, server = -1;
  Direction up, down;  // to the server, to the client
  bool dead = false;
};

void CloseWithReset(int fd) {
  const linger now = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd);
}

}  // namespace

// One thread polls all sockets; the others leave their wishes under the lock.
class FaultProxy::Loop {
 public:
  absl::Status Listen(int target) {
    target_ = target;
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in own = Loopback(0);
    socklen_t size = sizeof(own);
    if (listener_ < 0 || bind(listener_, AsSockaddr(&own), size) != 0 ||
        listen(listener_, 1024) != 0 || getsockname(listener_, AsSockaddr(&own), &size) != 0) {
      return absl::UnavailableError(absl::StrCat("proxy: ", std::strerror(errno)));
    }
    port_ = ntohs(own.sin_port);
    return absl::OkStatus();
  }

  ~Loop() {
    for (Link& link : links_) CloseLink(link, /*reset=*/false);
    if (listener_ >= 0) close(listener_);
  }

  void Run() {
    while (!stopping_) {
      const Wishes wishes = TakeWishes();
      for (Link& link : links_) {
        if (wishes.reset) CloseLink(link, /*reset=*/true);
        if (wishes.half_close && !link.dead) {
          shutdown(link.server, SHUT_WR);
          link.up.passed_end = true;
        }
      }
      links_.erase(
          std::remove_if(links_.begin(), links_.end(), [](const Link& l) { return l.dead; }),
          links_.end());
      open_ = static_cast<int>(links_.size());
      if (wishes.fault.black_hole) {
        absl::SleepFor(absl::Milliseconds(kPollMs));
        continue;
      }
      Turn(wishes);
    }
  }

  int port() const { return port_; }
  int open() const { return open_; }
  void Stop() { stopping_ = true; }
  void Set(const Fault& fault) {
    const std::lock_guard<std::mutex> lock(mu_);
    wishes_.fault = fault;
  }
  void Reset() {
    const std::lock_guard<std::mutex> lock(mu_);
    wishes_.reset = true;
  }
  void HalfClose() {
    const std::lock_guard<std::mutex> lock(mu_);
    wishes_.half_close = true;
  }
  void Refuse(bool refuse) {
    const std::lock_guard<std::mutex> lock(mu_);
    wishes_.refuse = refuse;
  }

 private:
  struct Wishes {
    Fault fault;
    bool reset = false, half_close = false, refuse = false;
  };

  Wishes TakeWishes() {
    const std::lock_guard<std::mutex> lock(mu_);
    Wishes taken = wishes_;
    wishes_.reset = wishes_.half_close = false;
    return taken;
  }

  void Turn(const Wishes& wishes) {
    std::vector<pollfd> polled = {{listener_, POLLIN, 0}};
    for (const Link& link : links_) {
      for (const Direction* way : {&link.up, &link.down}) {
        const bool wants = !way->ended && way->queued < kMaxQueuedBytes;
        polled.push_back({wants ? way->from : -1, POLLIN, 0});
      }
    }
    poll(polled.data(), polled.size(), kPollMs);
    const absl::Time now = absl::Now();
    const size_t known = links_.size();
    if (polled[0].revents != 0) Accept(wishes.refuse);
    for (size_t i = 0; i < known; ++i) {
      Link& link = links_[i];
      if (polled[1 + 2 * i].revents != 0) Receive(link, link.up, now + wishes.fault.delay);
      if (polled[2 + 2 * i].revents != 0) Receive(link, link.down, now + wishes.fault.delay);
    }
    Budget(wishes.fault.bytes_per_second, now);
    for (Link& link : links_) {
      if (!link.dead) Send(link, link.up, now, nullptr);
      if (!link.dead)
        Send(link, link.down, now, wishes.fault.bytes_per_second > 0 ? &budget_ : nullptr);
      if (!link.dead && link.up.passed_end && link.down.passed_end) CloseLink(link, false);
    }
  }

  void Budget(int64_t bytes_per_second, absl::Time now) {
    const double more =
        static_cast<double>(bytes_per_second) * absl::ToDoubleSeconds(now - last_turn_);
    budget_ = std::min(budget_ + more, static_cast<double>(bytes_per_second) / 10 + 1);
    last_turn_ = now;
  }

  void Accept(bool refuse) {
    while (true) {
      const int client = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client < 0) return;
      const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in target = Loopback(target_);
      if (refuse || connect(server, AsSockaddr(&target), sizeof(target)) != 0) {
        CloseWithReset(client);
        close(server);
        continue;
      }
      fcntl(server, F_SETFL, O_NONBLOCK);
      const int on = 1;
      setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      links_.push_back({client,
                        server,
                        {client, server, {}, 0, false, false},
                        {server, client, {}, 0, false, false},
                        false});
    }
  }

  void Receive(Link& link, Direction& way, absl::Time due) {
    std::array<char, kPieceBytes> bytes;
    const ssize_t size = recv(way.from, bytes.data(), bytes.size(), 0);
    if (size > 0) {
      way.pieces.push_back({due, std::string(bytes.data(), static_cast<size_t>(size))});
      way.queued += static_cast<size_t>(size);
    } else if (size == 0) {
      way.ended = true;
    } else if (errno != EAGAIN) {
      CloseLink(link, /*reset=*/true);
    }
  }

  // `budget`: bytes that may still pass; null: any number.
  void Send(Link& link, Direction& way, absl::Time now, double* budget) {
    while (!way.pieces.empty() && way.pieces.front().due <= now) {
      std::string& bytes = way.pieces.front().bytes;
      const size_t allowed =
          budget == nullptr ? bytes.size() : std::min(bytes.size(), static_cast<size_t>(*budget));
      if (allowed == 0) return;
      const ssize_t sent = send(way.to, bytes.data(), allowed, MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) return;
      if (sent < 0) return CloseLink(link, /*reset=*/true);
      if (budget != nullptr) *budget -= static_cast<double>(sent);
      way.queued -= static_cast<size_t>(sent);
      bytes.erase(0, static_cast<size_t>(sent));
      if (bytes.empty()) way.pieces.pop_front();
    }
    if (!way.pieces.empty() || !way.ended || way.passed_end) return;
    shutdown(way.to, SHUT_WR);
    way.passed_end = true;
  }

  static void CloseLink(Link& link, bool reset) {
    if (std::exchange(link.dead, true)) return;
    for (const int fd : {link.client, link.server})
      reset ? CloseWithReset(fd) : static_cast<void>(close(fd));
  }

  int target_ = 0;
  int listener_ = -1;
  int port_ = 0;
  std::vector<Link> links_;  // of the thread
  double budget_ = 0;
  absl::Time last_turn_ = absl::Now();
  std::atomic<int> open_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mu_;
  Wishes wishes_;  // guarded by mu_
};

absl::StatusOr<std::unique_ptr<FaultProxy>> FaultProxy::Start(int port) {
  auto loop = std::make_unique<Loop>();
  if (absl::Status status = loop->Listen(port); !status.ok()) return status;
  return std::unique_ptr<FaultProxy>(new FaultProxy(std::move(loop)));
}

FaultProxy::FaultProxy(std::unique_ptr<Loop> loop)
    : loop_(std::move(loop)), thread_([this] { loop_->Run(); }) {}

FaultProxy::~FaultProxy() {
  loop_->Stop();
  thread_.join();
}

int FaultProxy::port() const { return loop_->port(); }
std::string FaultProxy::address() const { return absl::StrCat("127.0.0.1:", port()); }
void FaultProxy::Set(const Fault& fault) { loop_->Set(fault); }
void FaultProxy::ResetAll() { loop_->Reset(); }
void FaultProxy::HalfCloseAll() { loop_->HalfClose(); }
void FaultProxy::Refuse(bool refuse) { loop_->Refuse(refuse); }
int FaultProxy::open_connections() const { return loop_->open(); }

}  // namespace skein
