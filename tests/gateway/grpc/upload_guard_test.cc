#include "gateway/grpc/upload_guard.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// A connection of this process with itself, over IPv4 or IPv6.
class Connection {
 public:
  explicit Connection(int family) : family_(family) {
    const int listener = socket(family, SOCK_STREAM, 0);
    sockaddr_storage address = Loopback(0);
    socklen_t size = sizeof(address);
    auto* name = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener, name, size), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    getsockname(listener, name, &size);
    server_port_ = PortOf(address);
    client_ = socket(family, SOCK_STREAM, 0);
    EXPECT_EQ(connect(client_, name, size), 0);
    server_ = accept(listener, nullptr, nullptr);
    getsockname(client_, name, &size);
    client_port_ = PortOf(address);
    close(listener);
  }
  ~Connection() { Close(); }
  void Close() {
    for (int* file : {&client_, &server_}) {
      if (*file >= 0) close(*file);
      *file = -1;
    }
  }

  void Send(uint64_t bytes) const {
    std::string chunk(65536, 'x');
    while (bytes > 0) {
      const ssize_t sent = send(client_, chunk.data(), std::min<uint64_t>(bytes, chunk.size()), 0);
      ASSERT_GT(sent, 0);
      for (ssize_t left = sent; left > 0;) left -= recv(server_, chunk.data(), chunk.size(), 0);
      bytes -= static_cast<uint64_t>(sent);
    }
  }

  uint16_t server_port() const { return server_port_; }
  std::string peer() const {
    return absl::StrCat(family_ == AF_INET ? "ipv4:127.0.0.1:" : "ipv6:%5B::1%5D:", client_port_);
  }

 private:
  sockaddr_storage Loopback(uint16_t port) const {
    sockaddr_storage storage{};
    storage.ss_family = static_cast<sa_family_t>(family_);
    if (family_ == AF_INET) {
      auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
      v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      v4.sin_port = htons(port);
    } else {
      reinterpret_cast<sockaddr_in6&>(storage).sin6_addr = in6addr_loopback;
    }
    return storage;
  }
  static uint16_t PortOf(const sockaddr_storage& storage) {
    return ntohs(storage.ss_family == AF_INET
                     ? reinterpret_cast<const sockaddr_in&>(storage).sin_port
                     : reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
  }

  const int family_;
  int client_ = -1, server_ = -1;
  uint16_t server_port_ = 0, client_port_ = 0;
};

class Read final : public GuardedRead {
 public:
  void TooMuchCame() override { ++cuts; }
  int cuts = 0;
};

TEST(PeerSocketsTest, TellsWhatHasComeOverAConnection) {
  for (const int family : {AF_INET, AF_INET6}) {
    SCOPED_TRACE(family);
    if (family == AF_INET6 && access("/proc/net/if_inet6", R_OK) != 0) continue;
    Connection connection(family);
    PeerSockets sockets(connection.server_port());
    EXPECT_EQ(sockets.BytesFrom(connection.peer()), 0u);
    connection.Send(100000);
    EXPECT_EQ(sockets.BytesFrom(connection.peer()), 100000u);
    connection.Close();
    EXPECT_EQ(sockets.BytesFrom(connection.peer()), std::nullopt);
  }
}

TEST(PeerSocketsTest, OtherPortsAndOtherNamesAreUnknown) {
  const Connection connection(AF_INET);
  PeerSockets sockets(static_cast<uint16_t>(connection.server_port() + 1));
  EXPECT_EQ(sockets.BytesFrom(connection.peer()), std::nullopt);
  for (const char* name : {"", "unix:/a", "ipv4:127.0.0.1", "ipv4:x:1", "ipv6:[::1]"}) {
    EXPECT_EQ(sockets.BytesFrom(name), std::nullopt) << name;
  }
}

class UploadGuardTest : public ::testing::Test {
 protected:
  Connection connection_{AF_INET};
  PeerSockets sockets_{connection_.server_port()};
  UploadGuard guard_{kMiB};
  std::shared_ptr<Read> read_ = std::make_shared<Read>();
};

TEST_F(UploadGuardTest, EndsWhatIsLongerThanItMayBe) {
  connection_.Send(10 * kMiB);  // before it counts
  guard_.ReadBegins(connection_.peer(), read_);
  guard_.Look(sockets_);
  connection_.Send(2 * kMiB);
  guard_.Look(sockets_);
  EXPECT_EQ(read_->cuts, 0);
  connection_.Send(kMiB);
  guard_.Look(sockets_);
  EXPECT_EQ(read_->cuts, 1);
}

TEST_F(UploadGuardTest, RequestsOneAfterTheOtherMayHaveMore) {
  guard_.ReadBegins(connection_.peer(), read_);
  guard_.Look(sockets_);
  for (int i = 0; i < 20; ++i) {
    guard_.CallBegins(connection_.peer());
    guard_.ReadBegins(connection_.peer(), read_);
    connection_.Send(kMiB);
    guard_.ReadEnds(connection_.peer(), kMiB);
    guard_.Look(sockets_);
  }
  EXPECT_EQ(read_->cuts, 0);
}

TEST_F(UploadGuardTest, CallsWithoutRequestsMayHaveTheirMetadata) {
  guard_.ReadBegins(connection_.peer(), read_);
  guard_.Look(sockets_);
  for (int i = 0; i < 10000; ++i) guard_.CallBegins(connection_.peer());
  connection_.Send(10 * kMiB);
  guard_.Look(sockets_);
  EXPECT_EQ(read_->cuts, 0);
}

TEST_F(UploadGuardTest, WhatIsNotBeingReadIsNotCounted) {
  guard_.ReadBegins(connection_.peer(), read_);
  guard_.Look(sockets_);
  guard_.ReadEnds(connection_.peer(), 0);
  connection_.Send(10 * kMiB);
  guard_.ReadBegins(connection_.peer(), read_);
  guard_.Look(sockets_);
  EXPECT_EQ(read_->cuts, 0);
}

}  // namespace
}  // namespace skein
