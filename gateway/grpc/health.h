// grpc.health.v1 at the gateway's gRPC port, for everybody. Not gRPC's own service: that one's
// requests are read, whatever their size, by how many at a time come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/time/time.h"
#include <grpcpp/generic/async_generic_service.h>

#include "common/base/clock.h"
#include "gateway/grpc/open_calls.h"
#include "gateway/grpc/upload_budget.h"
#include "gateway/grpc/upload_guard.h"

namespace skein {

// Thread-safe.
class HealthBoard {
 public:
  // Requests of up to `max_request_bytes` can come; at most `max_calls` are open.
  HealthBoard(uint64_t max_request_bytes, size_t max_calls, UploadGuard& guard, const Clock& clock);
  ~HealthBoard();

  // Telling the same again is free: watchers hear of changes.
  void Set(const std::string& service, bool serving);

  // Null for a method that is not of health.
  grpc::ServerGenericBidiReactor* MakeReactor(grpc::GenericCallbackServerContext& context);
  // Ends calls whose request does not come.
  void LookAfter(absl::Time now) { calls_.LookAfter(now); }

 private:
  class HealthCall;
  class CheckCall;
  class WatchCall;

  // A HealthCheckResponse::ServingStatus; SERVICE_UNKNOWN for what was never set.
  int StatusOf(const std::string& service) const;
  // `watch` is told of changes from now on, until Forget.
  void Remember(const std::shared_ptr<WatchCall>& watch);
  void Forget(const WatchCall* watch);

  UploadBudget uploads_;
  UploadGuard& guard_;
  const Clock& clock_;
  OpenCalls calls_;

  mutable std::mutex mu_;
  // Guarded by mu_.
  std::map<std::string, bool> serving_;
  std::map<const WatchCall*, std::weak_ptr<WatchCall>> watches_;
};

}  // namespace skein
