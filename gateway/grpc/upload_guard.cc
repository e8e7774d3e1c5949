#include "gateway/grpc/upload_guard.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include <linux/tcp.h>

#include "common/base/clock.h"

namespace skein {
namespace {

constexpr uint64_t kSlackBytes = 1 << 20;
// Times as long as a scan took: a process of 10,000 connections takes a tenth of a core for them.
constexpr int kScanPause = 9;
constexpr uint64_t kCallBytes = 2 << 10;

// An IPv6 address, or an IPv4 one mapped into it, and the port.
std::string Key(const in6_addr& address, uint16_t port) {
  std::string key(reinterpret_cast<const char*>(&address), sizeof(address));
  key.append(reinterpret_cast<const char*>(&port), sizeof(port));
  return key;
}

in6_addr Mapped(const in_addr& address) {
  in6_addr mapped{};
  mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
  std::memcpy(&mapped.s6_addr[12], &address, sizeof(address));
  return mapped;
}

// Empty for what is no address and port.
std::string KeyOfPeer(const std::string& peer) {
  const std::string text = absl::StrReplaceAll(peer, {{"%5B", "["}, {"%5D", "]"}});
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port)) return "";
  absl::string_view host = absl::string_view(text).substr(0, colon);
  in6_addr v6{};
  in_addr v4{};
  if (absl::ConsumePrefix(&host, "ipv4:")) {
    if (inet_pton(AF_INET, std::string(host).c_str(), &v4) != 1) return "";
    return Key(Mapped(v4), static_cast<uint16_t>(port));
  }
  if (!absl::ConsumePrefix(&host, "ipv6:")) return "";
  host = absl::StripPrefix(absl::StripSuffix(host, "]"), "[");
  host = host.substr(0, host.find('%'));  // the zone
  if (inet_pton(AF_INET6, std::string(host).c_str(), &v6) != 1) return "";
  return Key(v6, static_cast<uint16_t>(port));
}

using NameOf = int (*)(int, sockaddr*, socklen_t*);

// Empty if `file` is no such socket.
std::string KeyOfSocket(int file, NameOf name_of) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  if (name_of(file, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return "";
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    return Key(Mapped(v4.sin_addr), ntohs(v4.sin_port));
  }
  if (storage.ss_family != AF_INET6) return "";
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  return Key(v6.sin6_addr, ntohs(v6.sin6_port));
}

bool HasPort(const std::string& key, uint16_t port) {
  return key.size() > sizeof(port) &&
         std::memcmp(key.data() + key.size() - sizeof(port), &port, sizeof(port)) == 0;
}

}  // namespace

std::optional<uint64_t> PeerSockets::BytesFrom(const std::string& peer) {
  const std::string key = KeyOfPeer(peer);
  if (key.empty()) return std::nullopt;
  auto found = files_.find(key);
  // The file may be another one's by now.
  if (found == files_.end() || KeyOfSocket(found->second, getpeername) != key) {
    Scan();
    found = files_.find(key);
    if (found == files_.end()) return std::nullopt;
  }
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(found->second, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return info.tcpi_bytes_received;
}

void PeerSockets::Scan() {
  const absl::Time begin = Clock::Real().Steady();
  if (begin < next_scan_) return;
  files_.clear();
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    int file = -1;
    if (!absl::SimpleAtoi(entry->path().filename().string(), &file)) continue;
    if (!HasPort(KeyOfSocket(file, getsockname), local_port_)) continue;
    std::string key = KeyOfSocket(file, getpeername);
    if (!key.empty()) files_[std::move(key)] = file;
  }
  const absl::Time end_time = Clock::Real().Steady();
  next_scan_ = end_time + kScanPause * (end_time - begin);
}

void UploadGuard::CallBegins(const std::string& peer) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto found = reading_.find(peer);
  if (found != reading_.end()) ++found->second.calls;
}

void UploadGuard::ReadBegins(const std::string& peer, const std::weak_ptr<GuardedRead>& read) {
  const std::lock_guard<std::mutex> lock(mu_);
  Connection& connection = reading_[peer];
  ++connection.reading;
  if (connection.reads.size() >= 2 * connection.reading) {
    std::vector<std::weak_ptr<GuardedRead>>& reads = connection.reads;
    reads.erase(
        std::remove_if(reads.begin(), reads.end(), [](const auto& one) { return one.expired(); }),
        reads.end());
  }
  connection.reads.push_back(read);
}

void UploadGuard::ReadEnds(const std::string& peer, uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto found = reading_.find(peer);
  if (found == reading_.end()) return;
  found->second.read_bytes += bytes;
  if (--found->second.reading == 0) reading_.erase(found);
}

void UploadGuard::Look(PeerSockets& sockets) {
  std::vector<std::shared_ptr<GuardedRead>> too_much;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    for (auto& [peer, connection] : reading_) {
      const std::optional<uint64_t> bytes = sockets.BytesFrom(peer);
      if (!bytes.has_value()) continue;
      if (!connection.begin_bytes.has_value()) {
        connection.begin_bytes = bytes;
        connection.read_bytes = 0;
        connection.calls = 0;
      }
      if (MayHaveLocked(connection, *bytes - *connection.begin_bytes)) continue;
      for (const std::weak_ptr<GuardedRead>& weak : connection.reads) {
        if (auto read = weak.lock()) too_much.push_back(std::move(read));
      }
    }
  }
  for (const std::shared_ptr<GuardedRead>& read : too_much) read->TooMuchCame();
}

bool UploadGuard::MayHaveLocked(const Connection& connection, uint64_t bytes) const {
  const uint64_t requests = connection.read_bytes + connection.reading * max_request_bytes_;
  return bytes <= requests + requests / 4 + kSlackBytes + connection.calls * kCallBytes;
}

}  // namespace skein
