#include "tests/e2e/servers.h"

#include <csignal>
#include <cstdlib>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include <grpcpp/grpcpp.h>

#include "common/base/status_macros.h"
#include "skein/v1/workers.grpc.pb.h"
#include "tests/testing/golden.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

int PortOf(const std::string& address) {
  return std::atoi(address.c_str() + address.rfind(':') + 1);
}

std::vector<std::string> WorkerCommand(const WorkerServer::Options& options) {
  std::vector<std::string> command = {SKEIN_WORKER, "--model", SourcePath("deploy/demo-model")};
  if (options.scripted) command = {SCRIPTED_WORKER};
  command.insert(command.end(),
                 {"--name", "demo", "--listen", options.listen, "--metrics-listen", "127.0.0.1:0"});
  // Measuring kernels would take longer than most tests.
  if (!options.scripted) command.insert(command.end(), {"--device", TestDevice(), "--no-autotune"});
  if (!options.config.empty()) command.insert(command.end(), {"--config", "/dev/stdin"});
  command.insert(command.end(), options.flags.begin(), options.flags.end());
  return command;
}

}  // namespace

std::string TestDevice() {
  const char* device = std::getenv("SKEIN_TEST_DEVICE");
  return device != nullptr ? device : "cpu";
}

bool UnderAddressSanitizer() {
#ifdef __SANITIZE_ADDRESS__
  return true;
#else
  return false;
#endif
}

absl::Duration Patience(int seconds) {
  return absl::Seconds(UnderAddressSanitizer() ? 6 * seconds : seconds);
}

absl::StatusOr<std::unique_ptr<WorkerServer>> WorkerServer::Start(const Options& options) {
  auto worker = std::make_unique<WorkerServer>();
  ASSIGN_OR_RETURN(worker->process_,
                   ChildProcess::Start("worker", WorkerCommand(options), options.config));
  ChildProcess& process = *worker->process_;
  ASSIGN_OR_RETURN(const std::string listening,
                   process.WaitForLine("event=\"listening\"", Patience(30)));
  worker->address_ = LogField(listening, "address");
  ASSIGN_OR_RETURN(const std::string metrics,
                   process.WaitForLine("event=\"metrics listening\"", Patience(5)));
  worker->metrics_address_ = LogField(metrics, "address");
  if (options.wait) {
    RETURN_IF_ERROR(process.WaitForLine("event=\"model ready\"", Patience(30)).status());
  }
  return worker;
}

absl::StatusOr<v1::WorkerLoad> WorkerServer::Load() const {
  const auto stub =
      v1::WorkerService::NewStub(grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  v1::WorkerLoad load;
  const auto reader = stub->WatchLoad(&context, v1::WatchLoadRequest());
  const bool read = reader->Read(&load);
  context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!read) return absl::UnavailableError(absl::StrCat("WatchLoad: ", status.error_message()));
  return load;
}

absl::StatusOr<double> WorkerServer::Metric(const std::string& name) const {
  ASSIGN_OR_RETURN(const ClientResponse response, HttpGet(PortOf(metrics_address_), "/metrics"));
  std::optional<double> sum;
  for (const absl::string_view line : absl::StrSplit(response.body, '\n')) {
    const std::vector<std::string> parts = absl::StrSplit(line, ' ');
    double value = 0;
    if (parts.size() >= 2 && parts[0].substr(0, parts[0].find('{')) == name &&
        absl::SimpleAtod(parts[1], &value)) {
      sum = sum.value_or(0) + value;
    }
  }
  if (sum.has_value()) return *sum;
  return absl::NotFoundError(absl::StrCat(name, ": not among the worker's metrics"));
}

absl::Status WorkerServer::WaitIdle(const v1::WorkerLoad& idle, absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    ASSIGN_OR_RETURN(const v1::WorkerLoad load, Load());
    if (load.running() == 0 && load.waiting() == 0 &&
        load.free_state_slots() == idle.free_state_slots() &&
        load.free_kv_pages() == idle.free_kv_pages()) {
      return absl::OkStatus();
    }
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError(absl::StrCat("not idle: ", load.ShortDebugString()));
    absl::SleepFor(absl::Milliseconds(20));
  }
}

absl::StatusOr<std::unique_ptr<GatewayServer>> GatewayServer::Start(
    const std::vector<std::string>& workers, const std::string& config, bool wait) {
  std::vector<std::string> command = {SKEIN_GATEWAY, "--listen", "127.0.0.1:0"};
  for (const std::string& worker : workers) {
    command.push_back("--worker");
    command.push_back(worker);
  }
  if (!config.empty()) command.insert(command.end(), {"--config", "/dev/stdin"});
  auto gateway = std::make_unique<GatewayServer>();
  ASSIGN_OR_RETURN(gateway->process_, ChildProcess::Start("gateway", command, config));
  ASSIGN_OR_RETURN(const std::string line,
                   gateway->process_->WaitForLine("event=\"listening\"", Patience(30)));
  gateway->port_ = PortOf(LogField(line, "address"));
  if (wait) RETURN_IF_ERROR(gateway->WaitReady(true, Patience(10)));
  return gateway;
}

std::string GatewayServer::url() const { return absl::StrCat("http://127.0.0.1:", port_); }

absl::Status GatewayServer::WaitReady(bool ready, absl::Duration timeout) const {
  const int wanted = ready ? 200 : 503;
  const absl::Time deadline = absl::Now() + timeout;
  while (absl::Now() < deadline) {
    const absl::StatusOr<ClientResponse> response = HttpGet(port_, "/readyz");
    if (response.ok() && response->status == wanted) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::DeadlineExceededError(absl::StrCat("/readyz does not answer ", wanted));
}

absl::Status StopCleanly(ChildProcess& process) {
  process.Signal(SIGTERM);
  ASSIGN_OR_RETURN(const int exit_status, process.Wait(Patience(20)));
  if (exit_status == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("ended with status ", exit_status, ":\n", process.err()));
}

}  // namespace skein
