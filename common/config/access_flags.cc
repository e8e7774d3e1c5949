#include "common/config/access_flags.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"

namespace skein {
namespace {

using config::v1::ClientTls;
using config::v1::GatewayConfig;
using config::v1::ServerTls;
using config::v1::WorkerConfig;

using Set = std::function<absl::Status(const std::string&)>;

Set Path(std::function<void(const std::string&)> store) {
  return [store = std::move(store)](const std::string& value) {
    if (value.empty()) return absl::InvalidArgumentError("the path is empty");
    store(value);
    return absl::OkStatus();
  };
}

// `tls()` is asked for when a flag is given: asking makes the sub-message present.
std::vector<Flag> ServerTlsFlags(const std::string& what, std::function<ServerTls*()> tls) {
  return {
      {"tls-certificate", "FILE", "PEM: serve " + what + " with this certificate and its chain",
       Path([tls](const std::string& v) { tls()->set_certificate(v); })},
      {"tls-key", "FILE", "PEM: the certificate's private key",
       Path([tls](const std::string& v) { tls()->set_key(v); })},
      {"tls-client-ca", "FILE", "PEM: let in only clients with a certificate that this signed",
       Path([tls](const std::string& v) { tls()->set_client_ca(v); })},
  };
}

std::vector<Flag> WorkerTlsFlags(GatewayConfig& config) {
  return {
      {"worker-ca", "FILE", "PEM: TLS to the workers, whose certificates this signed",
       Path([&](const std::string& v) { config.mutable_worker_tls()->set_ca(v); })},
      {"worker-certificate", "FILE", "PEM: shown to workers that ask for a certificate",
       Path([&](const std::string& v) { config.mutable_worker_tls()->set_certificate(v); })},
      {"worker-key", "FILE", "PEM: its private key",
       Path([&](const std::string& v) { config.mutable_worker_tls()->set_key(v); })},
      {"worker-server-name", "NAME",
       "the name in the workers' certificates, where it is not the one in\ntheir addresses",
       Path([&](const std::string& v) { config.mutable_worker_tls()->set_server_name(v); })},
  };
}

absl::Status AddProxies(const std::string& value, GatewayConfig& config) {
  for (const absl::string_view range : absl::StrSplit(value, ',')) {
    config.add_trusted_proxy(std::string(range));
  }
  return absl::OkStatus();
}

absl::Status AddOrigins(const std::string& value, GatewayConfig& config) {
  for (const absl::string_view origin : absl::StrSplit(value, ',')) {
    config.add_cors_origin(std::string(origin));
  }
  return absl::OkStatus();
}

void Append(std::vector<Flag> from, std::vector<Flag>& to) {
  for (Flag& flag : from) to.push_back(std::move(flag));
}

}  // namespace

FlagGroup AccessFlags(GatewayConfig& config) {
  FlagGroup group = {
      "Access",
      {{"keys", "FILE", "the API keys (skeinctl keys new makes them); read again when it changes",
        Path([&](const std::string& v) { config.set_keys_file(v); })},
       {"allow-no-keys", "", "listen on any address without keys: for closed networks",
        [&](const std::string&) {
          config.set_allow_no_keys(true);
          return absl::OkStatus();
        }},
       {"cors-origin", "ORIGIN", "let web pages of this origin call; again or with commas, or *",
        [&](const std::string& v) { return AddOrigins(v, config); }},
       {"trusted-proxy", "RANGE",
        "ADDRESS or ADDRESS/BITS of proxies whose X-Forwarded-For says who the\nclient is; again "
        "or "
        "with commas (default: none)",
        [&](const std::string& v) { return AddProxies(v, config); }}}};
  Append(ServerTlsFlags("HTTPS", [&] { return config.mutable_tls(); }), group.flags);
  Append(WorkerTlsFlags(config), group.flags);
  return group;
}

FlagGroup AccessFlags(WorkerConfig& config) {
  return {"Access", ServerTlsFlags("gRPC over TLS", [&] { return config.mutable_tls(); })};
}

}  // namespace skein
