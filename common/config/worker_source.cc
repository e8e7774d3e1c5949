#include "common/config/worker_source.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "common/config/address.h"

namespace skein {

absl::StatusOr<WorkerSource> ParseWorkerSource(absl::string_view text) {
  WorkerSource source;
  source.text = std::string(text);
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "file:")) {
    if (rest.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\" names no file, expected file:PATH"));
    }
    source.kind = WorkerSource::Kind::kFile;
    source.path = std::string(rest);
    return source;
  }
  // A host may be called dns: dns:50051 is an address.
  if (absl::ConsumePrefix(&rest, "dns:") && rest.find(':') != absl::string_view::npos) {
    source.kind = WorkerSource::Kind::kDns;
  } else {
    rest = text;
  }
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(rest));
  if (address.port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" has port 0, expected the port of a worker"));
  }
  source.host = address.host;
  source.port = address.port;
  return source;
}

}  // namespace skein
