// Certificates in PEM files: how long they are good, and whether they fit their keys.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace skein {

// When the first of the file's certificates to expire does. NotFound if it cannot be opened,
// InvalidArgument if it holds no certificate.
absl::StatusOr<absl::Time> CertificateExpiry(const std::string& path);

// InvalidArgument, naming the file, unless `certificate` begins with the certificate of the private
// key in `key`. One that has expired or is not yet valid passes: refusing it here would not help.
absl::Status CheckCertificatePair(const std::string& certificate, const std::string& key);

// What OpenSSL's last failing call on this thread said. Forgets it.
std::string OpenSslError();

}  // namespace skein
