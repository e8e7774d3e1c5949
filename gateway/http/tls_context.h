// The certificate of an HTTPS listener, kept up to date.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <boost/asio/ssl/context.hpp>

#include "common/base/file_watcher.h"
#include "gateway/metrics.h"
#include "skein/config/v1/tls.pb.h"

namespace skein {

// Thread-safe. TLS 1.2 and later, ALPN http/1.1; with client_ca clients must show a certificate.
class TlsContext {
 public:
  // Reads the files now, and again whenever one of them changes. An error if they cannot be used
  // now; later ones are logged, and connections go on getting what was good before. `metrics`
  // outlives it.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Create(const config::v1::ServerTls& files,
                                                            GatewayMetrics& metrics,
                                                            absl::Duration poll = absl::Seconds(1));

  // For a new connection.
  std::shared_ptr<boost::asio::ssl::context> current() const;

 private:
  TlsContext(const config::v1::ServerTls& files, GatewayMetrics& metrics);
  absl::Status Read();
  void ReadAgain();

  const config::v1::ServerTls files_;
  GatewayMetrics& metrics_;

  mutable std::mutex mu_;
  std::shared_ptr<boost::asio::ssl::context> context_;  // guarded by mu_
  std::unique_ptr<FileWatcher> watcher_;                // last: its thread uses the rest
};

}  // namespace skein
