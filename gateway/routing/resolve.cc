#include "gateway/routing/resolve.h"

#include <array>
#include <memory>

#include <netdb.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"

#include "common/config/address.h"

namespace skein {
namespace {

// Empty if it is not of `family`, or cannot be written.
std::string AddressText(const addrinfo& info, int family, uint16_t port) {
  if (info.ai_family != family) return "";
  std::array<char, NI_MAXHOST> host{};
  if (getnameinfo(info.ai_addr, info.ai_addrlen, host.data(), host.size(), nullptr, 0,
                  NI_NUMERICHOST) != 0) {
    return "";
  }
  return FormatHostPort(host.data(), port);
}

}  // namespace

absl::StatusOr<std::set<std::string>> ResolveBySystem(const std::string& name, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(name.c_str(), nullptr, &hints, &list);
  if (error != 0) return absl::UnavailableError(gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, &freeaddrinfo);
  for (const int family : {AF_INET, AF_INET6}) {
    std::set<std::string> addresses;
    for (const addrinfo* info = list; info != nullptr; info = info->ai_next) {
      std::string text = AddressText(*info, family, port);
      if (!text.empty()) addresses.insert(std::move(text));
    }
    if (!addresses.empty()) return addresses;
  }
  return absl::UnavailableError("it has no address");
}

}  // namespace skein
