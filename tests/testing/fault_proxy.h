// A TCP proxy that does to connections what networks do: delays, throttles, loses, cuts and resets
// them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace skein {

// What happens to bytes from now on, on every connection.
struct Fault {
  absl::Duration delay = {};     // of each piece, in both directions
  int64_t bytes_per_second = 0;  // to the client, over all connections; 0: as fast as they come
  bool black_hole = false;  // nothing passes and nothing is closed: the other machine has vanished
};

// Carries any number of connections to 127.0.0.1:`port`. Thread-safe.
class FaultProxy {
 public:
  static absl::StatusOr<std::unique_ptr<FaultProxy>> Start(int port);
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  int port() const;
  std::string address() const;  // HOST:PORT

  void Set(const Fault& fault);
  // Ends every connection that is open: with a reset, or by ending what is sent to the server while
  // the way back stays open.
  void ResetAll();
  void HalfCloseAll();
  // New connections are closed at once while this holds.
  void Refuse(bool refuse);

  int open_connections() const;

 private:
  class Loop;
  explicit FaultProxy(std::unique_ptr<Loop> loop);

  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace skein
