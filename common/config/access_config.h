// Who may reach a process, and how: checks of TLS, keys and cross-origin settings.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "skein/config/v1/gateway.pb.h"
#include "skein/config/v1/tls.pb.h"

namespace skein {

inline bool IsOn(const config::v1::ServerTls& tls) { return !tls.certificate().empty(); }
inline bool IsOn(const config::v1::ClientTls& tls) { return !tls.ca().empty(); }

// InvalidArgument that starts with a field's name for settings that do not go together. The files
// are not looked at.
absl::Status Validate(const config::v1::ServerTls& tls, absl::string_view field);
absl::Status Validate(const config::v1::ClientTls& tls, absl::string_view field);

// What of a gateway's configuration is about access. With defaults filled in.
absl::Status ValidateAccess(const config::v1::GatewayConfig& config);

// Of an address that Validate accepts: only this machine can reach it.
bool IsLoopbackAddress(const std::string& address);

// True if every address where calls are taken is one of this machine alone.
bool AllOnLoopback(const config::v1::GatewayConfig& config);

}  // namespace skein
