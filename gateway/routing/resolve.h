// The addresses of a name.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "absl/status/statusor.h"

namespace skein {

// HOST:PORT for each address of `name`. May take long; called on a thread of its own.
using Resolver =
    std::function<absl::StatusOr<std::set<std::string>>(const std::string& name, uint16_t port)>;

// Asks the system (getaddrinfo: /etc/hosts, DNS). Of a name that has addresses of both families the
// IPv4 ones, so that no worker comes twice. Unavailable if there is none.
absl::StatusOr<std::set<std::string>> ResolveBySystem(const std::string& name, uint16_t port);

}  // namespace skein
