#include "gateway/http/tls_context.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include <openssl/ssl.h>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/tls/certificates.h"

namespace skein {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

// Each name with its length before it, as TLS writes them.
constexpr unsigned char kProtocols[] = "\x08http/1.1";

// A client that speaks HTTP/2 alone is told so by an alert; one that does not ask is served.
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                   const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* found = nullptr;
  const int result = SSL_select_next_proto(&found, chosen_size, kProtocols, sizeof(kProtocols) - 1,
                                           offered, offered_size);
  *chosen = found;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

absl::Status BadFile(const std::string& path, const error_code& error) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.message()));
}

absl::Status RequireClients(const std::string& client_ca, ssl::context& context) {
  error_code error;
  context.load_verify_file(client_ca, error);
  if (error) return BadFile(client_ca, error);
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_verify(native, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // The names that clients are asked for. OpenSSL owns the list from here on.
  SSL_CTX_set_client_CA_list(native, SSL_load_client_CA_file(client_ca.c_str()));
  // Without it sessions of verified clients cannot be resumed, and resuming is an error.
  constexpr std::array<unsigned char, 5> kSessions = {'s', 'k', 'e', 'i', 'n'};
  SSL_CTX_set_session_id_context(native, kSessions.data(), kSessions.size());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ssl::context>> Load(const config::v1::ServerTls& files) {
  RETURN_IF_ERROR(CheckCertificatePair(files.certificate(), files.key()));
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);  // tickets need no memory here
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(native, ChooseProtocol, nullptr);
  error_code error;
  context->use_certificate_chain_file(files.certificate(), error);
  if (error) return BadFile(files.certificate(), error);
  context->use_private_key_file(files.key(), ssl::context::pem, error);
  if (error) return BadFile(files.key(), error);
  if (!files.client_ca().empty()) RETURN_IF_ERROR(RequireClients(files.client_ca(), *context));
  return context;
}

}  // namespace

TlsContext::TlsContext(const config::v1::ServerTls& files, GatewayMetrics& metrics)
    : files_(files), metrics_(metrics) {}

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Create(const config::v1::ServerTls& files,
                                                               GatewayMetrics& metrics,
                                                               absl::Duration poll) {
  std::unique_ptr<TlsContext> tls(new TlsContext(files, metrics));
  std::vector<std::string> paths = {files.certificate(), files.key()};
  if (!files.client_ca().empty()) paths.push_back(files.client_ca());
  std::string stamps = StampFiles(paths);
  RETURN_IF_ERROR(tls->Read());
  metrics.SetStaleFile("certificate", false);
  tls->watcher_ = std::make_unique<FileWatcher>(std::move(paths), std::move(stamps), poll,
                                                [self = tls.get()] { self->ReadAgain(); });
  return tls;
}

std::shared_ptr<ssl::context> TlsContext::current() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return context_;
}

absl::Status TlsContext::Read() {
  ASSIGN_OR_RETURN(std::shared_ptr<ssl::context> context, Load(files_));
  ASSIGN_OR_RETURN(const absl::Time expiry, CertificateExpiry(files_.certificate()));
  metrics_.SetCertificateExpiry("server", absl::ToDoubleSeconds(expiry - absl::UnixEpoch()));
  if (!files_.client_ca().empty()) {
    ASSIGN_OR_RETURN(const absl::Time ca_expiry, CertificateExpiry(files_.client_ca()));
    metrics_.SetCertificateExpiry("client_ca",
                                  absl::ToDoubleSeconds(ca_expiry - absl::UnixEpoch()));
  }
  LogInfo("certificate read",
          {{"file", files_.certificate()},
           {"expires", absl::FormatTime(absl::RFC3339_sec, expiry, absl::UTCTimeZone())}});
  const std::lock_guard<std::mutex> lock(mu_);
  context_ = std::move(context);
  return absl::OkStatus();
}

void TlsContext::ReadAgain() {
  const absl::Status status = Read();
  metrics_.SetStaleFile("certificate", !status.ok());
  if (status.ok()) return;
  LogError("certificate refused, the one before stays in use",
           {{"error", std::string(status.message())}});
}

}  // namespace skein
