#include "common/tls/certificate_monitor.h"

#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/tls/certificates.h"

namespace skein {

CertificateMonitor::CertificateMonitor(std::vector<WatchedCertificate> certificates,
                                       OnExpiry on_expiry)
    : certificates_(std::move(certificates)), on_expiry_(std::move(on_expiry)) {}

absl::StatusOr<std::unique_ptr<CertificateMonitor>> CertificateMonitor::Create(
    std::vector<WatchedCertificate> certificates, OnExpiry on_expiry, absl::Duration poll) {
  if (certificates.empty()) return nullptr;
  std::vector<std::string> paths;
  for (const WatchedCertificate& certificate : certificates) {
    paths.push_back(certificate.path);
    if (!certificate.key.empty()) paths.push_back(certificate.key);
  }
  std::string stamps = StampFiles(paths);
  std::unique_ptr<CertificateMonitor> monitor(
      new CertificateMonitor(std::move(certificates), std::move(on_expiry)));
  RETURN_IF_ERROR(monitor->Look());
  monitor->watcher_ = std::make_unique<FileWatcher>(
      std::move(paths), std::move(stamps), poll, [self = monitor.get()] {
        const absl::Status status = self->Look();
        if (status.ok()) return;
        LogError("certificate files cannot be used, new connections may fail",
                 {{"error", std::string(status.message())}});
      });
  return monitor;
}

absl::Status CertificateMonitor::Look() const {
  for (const WatchedCertificate& certificate : certificates_) {
    if (!certificate.key.empty()) {
      RETURN_IF_ERROR(CheckCertificatePair(certificate.path, certificate.key));
    }
    ASSIGN_OR_RETURN(const absl::Time expiry, CertificateExpiry(certificate.path));
    on_expiry_(certificate.name, expiry);
    LogInfo("certificate",
            {{"name", certificate.name},
             {"file", certificate.path},
             {"expires", absl::FormatTime(absl::RFC3339_sec, expiry, absl::UTCTimeZone())}});
  }
  return absl::OkStatus();
}

}  // namespace skein
