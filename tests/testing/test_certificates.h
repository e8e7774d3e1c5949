// Certificates made on the spot: an authority and what it signs.
#pragma once

#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace skein {

// PEM texts.
struct TestCertificate {
  std::string certificate;
  std::string key;
};

struct TestCertificateOptions {
  std::string name = "test";                         // common name
  std::string hosts = "DNS:localhost,IP:127.0.0.1";  // subject alternative names; empty for none
  absl::Time begin = absl::Now() - absl::Hours(1);
  absl::Time end = absl::Now() + absl::Hours(24);
};

// Keys are on the curve P-256, which takes no time to make.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "test authority");
  ~TestAuthority();

  const std::string& certificate() const { return certificate_; }  // PEM
  TestCertificate Issue(const TestCertificateOptions& options = {}) const;

 private:
  struct Pair;
  std::unique_ptr<Pair> pair_;
  std::string certificate_;
};

}  // namespace skein
