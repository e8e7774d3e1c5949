// HttpClient over TLS.
#pragma once

#include <string>

#include "tests/testing/http_client.h"

struct ssl_st;
struct ssl_ctx_st;

namespace skein {

struct TlsClientOptions {
  std::string ca;           // PEM: whom the client trusts
  std::string certificate;  // PEM: what it shows, if anything
  std::string key;
  std::string protocols = "http/1.1";  // offered by ALPN, one name; empty: none
  int max_version = 0;                 // such as TLS1_2_VERSION; 0: the newest
};

// Its status() tells how connecting and the handshake went.
class TlsClient final : public HttpClient {
 public:
  TlsClient(int port, const TlsClientOptions& options, absl::Duration timeout = absl::Seconds(10));
  ~TlsClient() override;

  std::string protocol() const;   // that ALPN chose
  std::string version() const;    // such as "TLSv1.3"
  std::string peer_name() const;  // the server's common name

 protected:
  ssize_t SendSome(absl::string_view bytes) override;
  ssize_t ReceiveSome(char* to, size_t size) override;
  bool HasReceived() const override;

 private:
  absl::Status Handshake(const TlsClientOptions& options);

  ssl_ctx_st* context_ = nullptr;
  ssl_st* ssl_ = nullptr;
};

}  // namespace skein
