// The command line of skein-worker.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "skein/config/v1/worker.pb.h"

namespace skein {

struct WorkerCommandLine {
  bool help = false;
  bool check_config = false;  // say whether the configuration is valid, and end
  std::string health_check;   // ADDR[/SERVICE] to ask instead of serving; empty: serve
  config::v1::WorkerConfig
      config;  // of --config, if given, with the other flags on top; no defaults yet
};

// `args` has no program name. InvalidArgument, naming the flag, for what cannot be parsed; errors
// of the configuration's file as ReadTextProto gives them.
absl::StatusOr<WorkerCommandLine> ParseWorkerCommandLine(const std::vector<std::string>& args);

// What --help prints.
std::string WorkerUsage();

}  // namespace skein
