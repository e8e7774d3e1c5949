#include "common/config/access_config.h"

#include <array>
#include <string>

#include <arpa/inet.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/config/address.h"
#include "common/config/ip_range.h"

namespace skein {
namespace {

using config::v1::GatewayConfig;

absl::Status CheckKeysOrLoopback(absl::string_view field, const std::string& address) {
  if (address.empty() || IsLoopbackAddress(address)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": \"", address,
                   "\" can be reached from other machines, and there are no API keys: make some "
                   "with `skeinctl keys new` and name their file with --keys (keys_file), or "
                   "listen on 127.0.0.1; in a network where everybody may use everything, "
                   "--allow-no-keys (allow_no_keys)"));
}

// Who reaches it loads models, so that everybody may is not an option.
absl::Status CheckRwkvInfer(const GatewayConfig& config) {
  const std::string& address = config.rwkv_infer_listen();
  if (address.empty() || IsLoopbackAddress(address) || !config.keys_file().empty()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("rwkv_infer_listen: \"", address,
                   "\" can be reached from other machines, and who calls there can load models: "
                   "name a file of API keys with --keys (keys_file), or listen on 127.0.0.1"));
}

// scheme://host[:port], as browsers send it: lower case, no path.
bool IsOrigin(const std::string& origin) {
  const size_t mark = origin.find("://");
  if (mark == std::string::npos || mark == 0 || mark + 3 == origin.size()) return false;
  for (const char c : origin.substr(mark + 3)) {
    if (c == '/' || c == '*' || absl::ascii_isspace(static_cast<unsigned char>(c)) ||
        absl::ascii_isupper(static_cast<unsigned char>(c)) || !absl::ascii_isprint(c)) {
      return false;
    }
  }
  return true;
}

absl::Status CheckOrigins(const GatewayConfig& config) {
  for (const std::string& origin : config.cors_origin()) {
    if (origin == "*" || IsOrigin(origin)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("cors_origin: \"", origin,
                     "\", expected an origin such as https://chat.example.org, or *"));
  }
  return absl::OkStatus();
}

absl::Status CheckProxies(const GatewayConfig& config) {
  for (const std::string& text : config.trusted_proxy()) {
    const absl::StatusOr<IpRange> range = IpRange::Parse(text);
    if (!range.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("trusted_proxy: ", range.status().message()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPair(absl::string_view field, const std::string& certificate,
                       const std::string& key) {
  if (certificate.empty() == key.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, certificate.empty() ? ".certificate" : ".key",
                   ": missing, expected the certificate and its key, or neither"));
}

}  // namespace

absl::Status Validate(const config::v1::ServerTls& tls, absl::string_view field) {
  RETURN_IF_ERROR(CheckPair(field, tls.certificate(), tls.key()));
  if (IsOn(tls) || tls.client_ca().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ".client_ca: has no use without ", field, ".certificate"));
}

absl::Status Validate(const config::v1::ClientTls& tls, absl::string_view field) {
  RETURN_IF_ERROR(CheckPair(field, tls.certificate(), tls.key()));
  if (IsOn(tls) || (tls.certificate().empty() && tls.server_name().empty())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ".ca: missing, expected the authority that signed the certificates"));
}

bool IsLoopbackAddress(const std::string& address) {
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  if (!parsed.ok()) return false;
  if (parsed->host == "localhost") return true;
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET, parsed->host.c_str(), bytes.data()) == 1) return bytes[0] == 127;
  if (inet_pton(AF_INET6, parsed->host.c_str(), bytes.data()) != 1) return false;
  std::array<unsigned char, 16> loopback{};
  loopback[15] = 1;
  return bytes == loopback;
}

bool AllOnLoopback(const GatewayConfig& config) {
  return CheckKeysOrLoopback("listen", config.listen()).ok() &&
         CheckKeysOrLoopback("grpc_listen", config.grpc_listen()).ok();
}

absl::Status ValidateAccess(const GatewayConfig& config) {
  RETURN_IF_ERROR(Validate(config.tls(), "tls"));
  RETURN_IF_ERROR(Validate(config.worker_tls(), "worker_tls"));
  RETURN_IF_ERROR(CheckOrigins(config));
  RETURN_IF_ERROR(CheckProxies(config));
  RETURN_IF_ERROR(CheckRwkvInfer(config));
  if (!config.keys_file().empty() || config.allow_no_keys()) return absl::OkStatus();
  RETURN_IF_ERROR(CheckKeysOrLoopback("listen", config.listen()));
  return CheckKeysOrLoopback("grpc_listen", config.grpc_listen());
}

}  // namespace skein
