#include "tests/testing/test_certificates.h"

#include <atomic>
#include <ctime>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/base/check.h"

namespace skein {
namespace {

std::string TextOf(BIO* memory) {
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(memory, &bytes);
  std::string text(bytes, static_cast<size_t>(size));
  BIO_free(memory);
  return text;
}

std::string ToPem(X509* certificate) {
  BIO* memory = BIO_new(BIO_s_mem());
  SKEIN_CHECK(PEM_write_bio_X509(memory, certificate) == 1);
  return TextOf(memory);
}

std::string ToPem(EVP_PKEY* key) {
  BIO* memory = BIO_new(BIO_s_mem());
  SKEIN_CHECK(PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return TextOf(memory);
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  SKEIN_CHECK(extension != nullptr);
  SKEIN_CHECK(X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

// Without a signature.
X509* NewCertificate(const TestCertificateOptions& options, EVP_PKEY* key) {
  static std::atomic<int64_t> serial{1};
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), serial++);
  ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(options.begin));
  ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(options.end));
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(options.name.c_str()), -1, -1,
                             0);
  X509_set_pubkey(certificate, key);
  return certificate;
}

}  // namespace

struct TestAuthority::Pair {
  X509* certificate;
  EVP_PKEY* key;
};

TestAuthority::TestAuthority(const std::string& name) : pair_(std::make_unique<Pair>()) {
  pair_->key = EVP_EC_gen("P-256");
  TestCertificateOptions options;
  options.name = name;
  pair_->certificate = NewCertificate(options, pair_->key);
  X509_set_issuer_name(pair_->certificate, X509_get_subject_name(pair_->certificate));
  AddExtension(pair_->certificate, pair_->certificate, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(pair_->certificate, pair_->certificate, NID_key_usage,
               "critical,keyCertSign,cRLSign");
  SKEIN_CHECK(X509_sign(pair_->certificate, pair_->key, EVP_sha256()) > 0);
  certificate_ = ToPem(pair_->certificate);
}

TestAuthority::~TestAuthority() {
  X509_free(pair_->certificate);
  EVP_PKEY_free(pair_->key);
}

TestCertificate TestAuthority::Issue(const TestCertificateOptions& options) const {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = NewCertificate(options, key);
  X509_set_issuer_name(certificate, X509_get_subject_name(pair_->certificate));
  AddExtension(certificate, pair_->certificate, NID_basic_constraints, "CA:FALSE");
  if (!options.hosts.empty()) {
    AddExtension(certificate, pair_->certificate, NID_subject_alt_name, options.hosts);
  }
  SKEIN_CHECK(X509_sign(certificate, pair_->key, EVP_sha256()) > 0);
  TestCertificate issued{ToPem(certificate), ToPem(key)};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return issued;
}

}  // namespace skein
