// Finds the workers that a gateway's sources name, and goes on looking.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "common/config/worker_source.h"
#include "gateway/routing/resolve.h"

namespace skein {

struct WorkerDiscoveryOptions {
  absl::Duration resolve_every = absl::Seconds(5);      // names
  absl::Duration read_every = absl::Milliseconds(250);  // files
  Resolver resolver = ResolveBySystem;
};

// Thread-safe. A name or file has a thread of its own, because asking for it may block. What cannot
// be resolved or read keeps what is known of it, with a warning when that begins. A file has to
// read the same twice in a row before it counts.
class WorkerDiscovery {
 public:
  // All addresses of all sources, each once. At once for sources that need no asking, then after
  // each change; one call at a time.
  using Listener = std::function<void(const std::set<std::string>&)>;

  WorkerDiscovery(std::vector<WorkerSource> sources, WorkerDiscoveryOptions options,
                  Listener listener);
  // The listener is not called any more. A thread that is stuck in the resolver is left behind.
  ~WorkerDiscovery();
  WorkerDiscovery(const WorkerDiscovery&) = delete;
  WorkerDiscovery& operator=(const WorkerDiscovery&) = delete;

 private:
  class Shared;
  class Lookup;

  std::shared_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Lookup>> lookups_;
};

}  // namespace skein
