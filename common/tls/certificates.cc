#include "common/tls/certificates.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>

#include "absl/strings/str_cat.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/base/status_macros.h"

namespace skein {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

absl::StatusOr<Owned<BIO>> Open(const std::string& path) {
  errno = 0;
  Owned<BIO> file(BIO_new_file(path.c_str(), "r"));
  if (file != nullptr) return file;
  const int error = errno;
  ERR_clear_error();
  return absl::NotFoundError(absl::StrCat(path, ": cannot be opened: ", std::strerror(error)));
}

// A key with a password must not make the process ask for it on its terminal.
int NoPassword(char*, int, int, void*) { return -1; }

absl::StatusOr<absl::Time> NotAfter(const X509& certificate) {
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &time) != 1) {
    return absl::InvalidArgumentError("a certificate has no valid end");
  }
  return absl::FromTM(time, absl::UTCTimeZone());
}

}  // namespace

std::string OpenSslError() {
  const unsigned long error = ERR_peek_last_error();  // NOLINT(google-runtime-int): OpenSSL's type
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(error);
  return reason == nullptr ? "unknown error" : reason;
}

absl::StatusOr<absl::Time> CertificateExpiry(const std::string& path) {
  ASSIGN_OR_RETURN(const Owned<BIO> file, Open(path));
  absl::Time expiry = absl::InfiniteFuture();
  int count = 0;
  while (
      const Owned<X509> certificate{PEM_read_bio_X509(file.get(), nullptr, NoPassword, nullptr)}) {
    ASSIGN_OR_RETURN(const absl::Time end, NotAfter(*certificate));
    expiry = std::min(expiry, end);
    ++count;
  }
  ERR_clear_error();  // of the read that found the end
  if (count > 0) return expiry;
  return absl::InvalidArgumentError(absl::StrCat(path, ": no certificate in PEM format"));
}

absl::Status CheckCertificatePair(const std::string& certificate, const std::string& key) {
  ASSIGN_OR_RETURN(const Owned<BIO> certificate_file, Open(certificate));
  const Owned<X509> first{PEM_read_bio_X509(certificate_file.get(), nullptr, NoPassword, nullptr)};
  if (first == nullptr) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat(certificate, ": no certificate in PEM format"));
  }
  ASSIGN_OR_RETURN(const Owned<BIO> key_file, Open(key));
  const Owned<EVP_PKEY> private_key{
      PEM_read_bio_PrivateKey(key_file.get(), nullptr, NoPassword, nullptr)};
  if (private_key == nullptr) {
    ERR_clear_error();
    return absl::InvalidArgumentError(
        absl::StrCat(key, ": no private key in PEM format that needs no password"));
  }
  if (X509_check_private_key(first.get(), private_key.get()) == 1) return absl::OkStatus();
  ERR_clear_error();
  return absl::InvalidArgumentError(
      absl::StrCat(key, ": not the private key of the certificate in ", certificate));
}

}  // namespace skein
