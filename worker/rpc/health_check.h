// Asks a running worker for its health: what a container without a shell can run.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "skein/config/v1/tls.pb.h"

namespace skein {

// `target` is HOST:PORT, or HOST:PORT/SERVICE for another service of grpc.health.v1 than "".
// `tls` is what the worker serves with; its own certificate must do for a client, too, where it
// asks for one. Unavailable if the worker does not answer SERVING within `timeout`; InvalidArgument
// for a target of another form.
absl::Status CheckHealth(const std::string& target, const config::v1::ServerTls& tls,
                         absl::Duration timeout);

}  // namespace skein
