#include "tests/faults/footprint.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

#include "common/base/status_macros.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

// Of gRPC and the allocator: pollers, timers, a reconnection in progress.
constexpr int kFileSlack = 8;

int Entries(const std::string& folder) {
  int count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    ++count;
  }
  return count;
}

absl::Status CompareFootprints(const std::string& name, const Footprint& before,
                               const Footprint& now, int64_t slack_bytes) {
  if (now.files > before.files + kFileSlack) {
    return absl::InternalError(
        absl::StrCat(name, ": ", now.files, " open files, before ", before.files));
  }
  if (!UnderAddressSanitizer() && now.rss_bytes > before.rss_bytes + slack_bytes) {
    return absl::InternalError(
        absl::StrCat(name, ": ", now.rss_bytes >> 20, " MiB, before ", before.rss_bytes >> 20));
  }
  return absl::OkStatus();
}

}  // namespace

Footprint FootprintOf(const ChildProcess& process) {
  const std::string folder = absl::StrCat("/proc/", process.pid());
  return {.files = Entries(folder + "/fd"),
          .threads = Entries(folder + "/task"),
          .rss_bytes = process.rss_bytes()};
}

absl::StatusOr<double> GatewayMetric(int port, const std::string& name) {
  ASSIGN_OR_RETURN(const ClientResponse response, HttpGet(port, "/metrics"));
  double sum = 0;
  bool found = false;
  for (const absl::string_view line : absl::StrSplit(response.body, '\n')) {
    const std::vector<std::string> parts = absl::StrSplit(line, ' ');
    double value = 0;
    if (parts.size() < 2 || parts[0].substr(0, parts[0].find('{')) != name) continue;
    if (!absl::SimpleAtod(parts.back(), &value)) continue;
    sum += value;
    found = true;
  }
  if (!found) return absl::NotFoundError(absl::StrCat(name, ": not among the gateway's metrics"));
  return sum;
}

LeakCheck::LeakCheck(const GatewayServer& gateway, const std::vector<const WorkerServer*>& workers)
    : gateway_(gateway), gateway_footprint_(FootprintOf(gateway.process())) {
  for (const WorkerServer* worker : workers) {
    workers_.push_back(
        {worker, worker->Load().value_or(v1::WorkerLoad()), FootprintOf(worker->process())});
  }
}

absl::Status LeakCheck::WaitUntilFree(absl::Duration timeout, int64_t slack_bytes) const {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    absl::Status status = Look(slack_bytes);
    if (status.ok() || absl::Now() > deadline) return status;
    absl::SleepFor(absl::Milliseconds(100));
  }
}

absl::Status LeakCheck::Look(int64_t slack_bytes) const {
  RETURN_IF_ERROR(CompareFootprints("gateway", gateway_footprint_, FootprintOf(gateway_.process()),
                                    slack_bytes));
  ASSIGN_OR_RETURN(const double streams,
                   GatewayMetric(gateway_.port(), "skein_gateway_open_streams"));
  if (streams != 0) return absl::InternalError(absl::StrCat("gateway: ", streams, " open streams"));
  // The one that asks is one.
  ASSIGN_OR_RETURN(const double connections,
                   GatewayMetric(gateway_.port(), "skein_gateway_connections"));
  if (connections > 1)
    return absl::InternalError(absl::StrCat("gateway: ", connections, " connections"));
  for (const Watched& worker : workers_) RETURN_IF_ERROR(LookAtWorker(worker, slack_bytes));
  return absl::OkStatus();
}

absl::Status LeakCheck::LookAtWorker(const Watched& worker, int64_t slack_bytes) const {
  const std::string& name = worker.server->address();
  ASSIGN_OR_RETURN(const v1::WorkerLoad load, worker.server->Load());
  if (load.running() != 0 || load.waiting() != 0 ||
      load.free_state_slots() != worker.load.free_state_slots() ||
      load.free_kv_pages() != worker.load.free_kv_pages()) {
    return absl::InternalError(absl::StrCat(name, ": ", load.ShortDebugString(), ", before ",
                                            worker.load.ShortDebugString()));
  }
  return CompareFootprints(name, worker.footprint, FootprintOf(worker.server->process()),
                           slack_bytes);
}

}  // namespace skein
