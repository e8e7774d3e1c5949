// The command line of skein-gateway.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "skein/config/v1/gateway.pb.h"

namespace skein {

struct GatewayCommandLine {
  bool help = false;
  bool check_config = false;  // say whether the configuration is valid, and end
  std::string health_check;   // ADDR[/PATH] to ask instead of serving; empty: serve
  // Of --config, if given, with the other flags on top; no defaults yet.
  config::v1::GatewayConfig config;
};

// `args` has no program name. InvalidArgument, naming the flag, for what cannot be parsed; errors
// of the configuration's file as ReadTextProto gives them.
absl::StatusOr<GatewayCommandLine> ParseGatewayCommandLine(const std::vector<std::string>& args);

// What --help prints.
std::string GatewayUsage();

}  // namespace skein
