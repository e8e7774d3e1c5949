#include "gateway/http/health_check.h"

#include "absl/strings/str_cat.h"
#include <boost/asio/ip/tcp.hpp>

#include "common/base/status_macros.h"
#include "common/config/address.h"

namespace skein {

absl::Status CheckHealth(const std::string& target, absl::Duration timeout) {
  const size_t slash = target.find('/');
  const std::string host_port = target.substr(0, slash);
  const std::string path = slash == std::string::npos ? "/readyz" : target.substr(slash);
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(host_port));
  boost::asio::ip::tcp::iostream stream;
  stream.expires_after(absl::ToChronoMilliseconds(timeout));
  stream.connect(address.host, absl::StrCat(address.port));
  stream << "GET " << path << " HTTP/1.1\r\nHost: " << host_port << "\r\nConnection: close\r\n\r\n"
         << std::flush;
  std::string version;
  std::string status;
  stream >> version >> status;
  if (!stream) {
    return absl::UnavailableError(
        absl::StrCat("no answer from ", host_port, ": ", stream.error().message()));
  }
  if (status != "200") {
    return absl::UnavailableError(
        absl::StrCat(host_port, " answered ", path, " with ", status, ", expected 200"));
  }
  return absl::OkStatus();
}

}  // namespace skein
