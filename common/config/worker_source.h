// Where a gateway finds workers, as its configuration writes it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

struct WorkerSource {
  enum class Kind {
    kAddress,  // HOST:PORT
    kDns,      // dns:NAME:PORT: every address of the name
    kFile,     // file:PATH: one HOST:PORT per line
  };
  Kind kind = Kind::kAddress;
  std::string text;   // as written
  std::string host;   // of kAddress and kDns
  uint16_t port = 0;  // of kAddress and kDns
  std::string path;   // of kFile
};

// InvalidArgument if `text` is none of the three, or a worker's port is 0.
absl::StatusOr<WorkerSource> ParseWorkerSource(absl::string_view text);

}  // namespace skein
