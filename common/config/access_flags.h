// Flags about who may reach a process, and how.
#pragma once

#include "common/config/command_line.h"
#include "skein/config/v1/gateway.pb.h"
#include "skein/config/v1/worker.pb.h"

namespace skein {

// `config` outlives what is returned.
FlagGroup AccessFlags(config::v1::GatewayConfig& config);
FlagGroup AccessFlags(config::v1::WorkerConfig& config);

}  // namespace skein
