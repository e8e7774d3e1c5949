#include "tests/testing/tls_client.h"

#include <cerrno>

#include <sys/socket.h>
#include <sys/time.h>

#include "absl/strings/str_cat.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace skein {
namespace {

X509* ParseCertificate(const std::string& pem) {
  BIO* memory = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* certificate = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
  BIO_free(memory);
  return certificate;
}

EVP_PKEY* ParseKey(const std::string& pem) {
  BIO* memory = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(memory, nullptr, nullptr, nullptr);
  BIO_free(memory);
  return key;
}

void Trust(const std::string& ca, SSL_CTX* context) {
  if (ca.empty()) return;
  X509* certificate = ParseCertificate(ca);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
  X509_free(certificate);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

void Show(const TlsClientOptions& options, SSL_CTX* context) {
  if (options.certificate.empty()) return;
  X509* certificate = ParseCertificate(options.certificate);
  EVP_PKEY* key = ParseKey(options.key);
  SSL_CTX_use_certificate(context, certificate);
  SSL_CTX_use_PrivateKey(context, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

std::string LastError() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(error);
  return reason == nullptr ? "closed" : reason;
}

}  // namespace

TlsClient::TlsClient(int port, const TlsClientOptions& options, absl::Duration timeout)
    : HttpClient(port, timeout) {
  if (!status().ok()) return;
  const timeval limit = absl::ToTimeval(timeout);
  setsockopt(fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  SetStatus(Handshake(options));
}

TlsClient::~TlsClient() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

absl::Status TlsClient::Handshake(const TlsClientOptions& options) {
  context_ = SSL_CTX_new(TLS_client_method());
  Trust(options.ca, context_);
  Show(options, context_);
  if (options.max_version != 0) SSL_CTX_set_max_proto_version(context_, options.max_version);
  ssl_ = SSL_new(context_);
  SSL_set_fd(ssl_, fd());
  SSL_set_tlsext_host_name(ssl_, "localhost");
  if (!options.ca.empty()) SSL_set1_host(ssl_, "localhost");
  if (!options.protocols.empty()) {
    const std::string offer = absl::StrCat(
        std::string(1, static_cast<char>(options.protocols.size())), options.protocols);
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(offer.data()),
                        static_cast<unsigned>(offer.size()));
  }
  if (SSL_connect(ssl_) == 1) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("TLS handshake: ", LastError()));
}

std::string TlsClient::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return std::string(reinterpret_cast<const char*>(name), size);
}

std::string TlsClient::version() const { return SSL_get_version(ssl_); }

std::string TlsClient::peer_name() const {
  X509* certificate = SSL_get1_peer_certificate(ssl_);
  char name[256] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
  X509_free(certificate);
  return name;
}

ssize_t TlsClient::SendSome(absl::string_view bytes) {
  const int sent = SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
  if (sent > 0) return sent;
  ERR_clear_error();
  errno = EPIPE;
  return -1;
}

ssize_t TlsClient::ReceiveSome(char* to, size_t size) {
  const int received = SSL_read(ssl_, to, static_cast<int>(size));
  if (received > 0) return received;
  const bool farewell = SSL_get_error(ssl_, received) == SSL_ERROR_ZERO_RETURN;
  ERR_clear_error();
  errno = ECONNRESET;
  return farewell ? 0 : -1;
}

bool TlsClient::HasReceived() const { return ssl_ != nullptr && SSL_pending(ssl_) > 0; }

}  // namespace skein
