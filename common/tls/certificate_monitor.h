// Keeps an eye on certificate files that somebody else, such as gRPC, uses.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/file_watcher.h"

namespace skein {

struct WatchedCertificate {
  std::string name;      // for metrics and logs, such as "server"
  std::string path;      // one certificate or more
  std::string key = {};  // of its first certificate; empty: an authority's, without one here
};

// Logs what changes and what cannot be used.
class CertificateMonitor {
 public:
  // The name of a certificate and when it expires; on the watcher's thread, after Create.
  using OnExpiry = std::function<void(const std::string& name, absl::Time expiry)>;

  // Looks at the files now and after every change. An error if they cannot be used now. Null
  // without certificates.
  static absl::StatusOr<std::unique_ptr<CertificateMonitor>> Create(
      std::vector<WatchedCertificate> certificates, OnExpiry on_expiry,
      absl::Duration poll = absl::Seconds(1));

 private:
  CertificateMonitor(std::vector<WatchedCertificate> certificates, OnExpiry on_expiry);
  absl::Status Look() const;

  const std::vector<WatchedCertificate> certificates_;
  const OnExpiry on_expiry_;
  std::unique_ptr<FileWatcher> watcher_;
};

}  // namespace skein
