// Ends requests that are longer than they may be while they come. gRPC reads a message whole,
// whatever length it claims, before it looks at its limit or lets anybody else do so; but the
// kernel tells how much has come over each connection.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace skein {

// A request that is being read.
class GuardedRead {
 public:
  virtual ~GuardedRead() = default;
  // More came over the connection than all of its requests may have. Not under the guard's lock.
  virtual void TooMuchCame() = 0;
};

// Finds the sockets of this process by what gRPC calls their other ends, "ipv4:10.0.0.1:5678" or
// "ipv6:[::1]:5678". Not thread-safe.
class PeerSockets {
 public:
  explicit PeerSockets(uint16_t local_port) : local_port_(local_port) {}

  // Bytes that have come from `peer` over a connection with the local port; none if there is none
  // (any more).
  std::optional<uint64_t> BytesFrom(const std::string& peer);

 private:
  // Looks at every file of the process, unless that was done just before.
  void Scan();

  const uint16_t local_port_;
  absl::Time next_scan_ = absl::InfinitePast();
  std::map<std::string, int> files_;  // by the address and port, as bytes
};

// Thread-safe. A connection may bring what its requests may have, a quarter more, 1 MiB, and 2 KiB
// for each call; counted while it has requests that are being read.
class UploadGuard {
 public:
  explicit UploadGuard(uint64_t max_request_bytes) : max_request_bytes_(max_request_bytes) {}

  void CallBegins(const std::string& peer);
  void ReadBegins(const std::string& peer, const std::weak_ptr<GuardedRead>& read);
  // Of a request that has so many bytes; 0 if it did not come.
  void ReadEnds(const std::string& peer, uint64_t bytes);

  // Every few milliseconds: what came since the last time is not noticed before. `sockets` is used
  // within.
  void Look(PeerSockets& sockets);

 private:
  struct Connection {
    std::optional<uint64_t> begin_bytes;  // at the first look
    uint64_t read_bytes = 0;              // of requests that ended since
    uint64_t calls = 0;                   // since
    uint64_t reading = 0;
    std::vector<std::weak_ptr<GuardedRead>> reads;  // may have ended
  };
  bool MayHaveLocked(const Connection& connection, uint64_t bytes) const;

  const uint64_t max_request_bytes_;
  std::mutex mu_;
  std::map<std::string, Connection> reading_;  // guarded by mu_; with at least one read each
};

}  // namespace skein
