// Who may do what, and how much of it: API keys with roles, lists of models and adapters, and
// limits.
//
//   ASSIGN_OR_RETURN(const Caller caller, access.Identify(authorization, Role::kInference));
//   ASSIGN_OR_RETURN(Admission admission, access.Admit(caller, model, adapters, estimated_tokens));
//   ... admission.Use(tokens), again and again; the request ends with `admission`
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/base/clock.h"
#include "common/base/file_watcher.h"
#include "gateway/access/key_limits.h"
#include "gateway/access/key_table.h"
#include "gateway/metrics.h"

namespace skein {

// Somebody who may do what was asked for. Cheap to copy; goes on being good when keys change.
class Caller {
 public:
  Caller() = default;  // anybody: nothing is limited

  // Of the key; empty without one.
  const std::string& name() const;

 private:
  friend class AccessControl;
  explicit Caller(std::shared_ptr<const Key> key) : key_(std::move(key)) {}

  std::shared_ptr<const Key> key_;  // null: anybody
};

// A request that runs: one of its key's parallel requests while it lives. Keep it until the answer
// is complete or given up; moved-from and default ones hold nothing. Use is thread-safe.
class Admission {
 public:
  Admission();
  Admission(Admission&&) noexcept;
  Admission& operator=(Admission&&) noexcept;
  ~Admission();  // gives back what of the estimated tokens was not used

  // The request has used so many tokens more, of its prompt or its answer. What exceeds the
  // estimate is charged at once.
  void Use(uint64_t tokens) const;

 private:
  friend class AccessControl;
  class Charge;
  std::unique_ptr<Charge> charge_;
};

// Thread-safe. Counts what it refuses in skein_gateway_refused_requests_total.
class AccessControl {
 public:
  // Without keys: anybody may do anything.
  AccessControl(const Clock& clock, GatewayMetrics& metrics);
  // With the keys of a KeysFile, read again when it changes. An error if it cannot be used now;
  // later contents that cannot be used are logged, and the keys stay as they were.
  static absl::StatusOr<std::unique_ptr<AccessControl>> Create(
      const std::string& keys_file, const Clock& clock, GatewayMetrics& metrics,
      absl::Duration poll = absl::Seconds(1));

  // `authorization` is the header or metadata of this name: "Bearer KEY". Unauthenticated if there
  // is none, or no such key now; PermissionDenied if the key lacks `role`. Role::kOpen needs no
  // key.
  absl::StatusOr<Caller> Identify(absl::string_view authorization, Role role) const;

  // PermissionDenied for a model or an adapter (a registered adapter or state) that the key may not
  // use; an empty model counts as one unless the key may use all. ResourceExhausted, with
  // RetryAfterOf, if a limit is reached. `tokens` is what the request will use at a guess
  // (EstimateTokens). Calls without any use of tokens, such as Tokenize, pass 0.
  absl::StatusOr<Admission> Admit(const Caller& caller, absl::string_view model,
                                  const std::vector<std::string>& adapters, uint64_t tokens) const;

  // For lists of what there is.
  bool MayUseModel(const Caller& caller, absl::string_view model) const;
  bool MayUseAdapter(const Caller& caller, absl::string_view adapter) const;

  // The x-ratelimit-* headers of an answer to `caller`, as of now: for refused requests, too.
  HeaderList RateLimitHeaders(const Caller& caller) const;

  // The keys from now on. InvalidArgument for what makes no sense; then nothing changes.
  absl::Status SetKeys(const config::v1::KeysFile& keys);

 private:
  absl::Status ReadFile(const std::string& path);
  absl::Status Refuse(const char* reason, absl::Status status) const;

  const Clock& clock_;
  GatewayMetrics& metrics_;

  mutable std::mutex mu_;
  std::shared_ptr<const KeyTable> keys_;  // guarded by mu_; null: no keys are asked for

  std::string contents_;                  // of the file; used by the watcher alone once it runs
  std::unique_ptr<FileWatcher> watcher_;  // last: its thread uses the rest
};

}  // namespace skein
