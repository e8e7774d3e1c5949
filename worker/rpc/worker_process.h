// The life of the worker process: listen, load, serve, drain.
#pragma once

#include "skein/config/v1/worker.pb.h"

namespace skein {

// Runs until SIGTERM or SIGINT has been answered; returns the exit code: 0, or 1 if it could not
// listen or load. `config` is valid and has its defaults. Called once, by main, before there is
// another thread: it blocks the signals in all that follow. A second signal ends the process at
// once.
int RunWorker(const config::v1::WorkerConfig& config);

}  // namespace skein
