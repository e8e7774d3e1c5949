// The life of the worker process: listen, load, serve, drain.
#pragma once

#include <functional>

#include "absl/status/statusor.h"

#include "skein/config/v1/worker.pb.h"
#include "worker/engine/model_host.h"

namespace skein {

// Runs until SIGTERM or SIGINT has been answered; returns the exit code: 0, or 1 if it could not
// listen or load. `config` is valid and has its defaults. Called once, by main, before there is
// another thread: it blocks the signals in all that follow. A second signal ends the process at
// once. `load`, if set, takes the place of the model's files.
int RunWorker(const config::v1::WorkerConfig& config,
              std::function<absl::StatusOr<LoadedModel>()> load = nullptr);

}  // namespace skein
