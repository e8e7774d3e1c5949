// skein-worker with a scripted model: everything is the real worker's but the weights, so that
// slots are what runs out, and not the machine's cores.
//
//   scripted_worker [--step-ms N] [--row-us N] [--load-ms N] [--stall-after N] [--fail-after N]
//                   [flags of skein-worker, but no --model]
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/config/command_line.h"
#include "common/config/worker_config.h"
#include "common/config/worker_flags.h"
#include "kernels/device/device.h"
#include "tests/testing/scripted_model.h"
#include "worker/rpc/worker_process.h"

namespace skein {
namespace {

constexpr int kUsageError = 2;
constexpr uint32_t kSlots = 16;

struct Script {
  ScriptedModelOptions model;
  absl::Duration load_time;
};

FlagGroup ScriptFlags(Script& script) {
  return {"Script",
          {{"step-ms", "N", "duration of a step (default: 20)",
            SetUint32([&](uint32_t v) { script.model.step_time = absl::Milliseconds(v); })},
           {"row-us", "N", "added to a step for each of its rows (default: 0)",
            SetUint32([&](uint32_t v) { script.model.row_time = absl::Microseconds(v); })},
           {"load-ms", "N", "duration of loading (default: 0)",
            SetUint32([&](uint32_t v) { script.load_time = absl::Milliseconds(v); })},
           {"stall-after", "N", "the step after the N-th never comes back",
            SetUint32([&](uint32_t v) { script.model.stall_after = v; })},
           {"fail-after", "N", "the step after the N-th fails",
            SetUint32([&](uint32_t v) { script.model.fail_after = v; })}}};
}

// Moves the script's flags, with their values, out of `args`.
std::vector<std::string> TakeScriptFlags(std::vector<std::string>& args, const FlagGroup& group) {
  std::vector<std::string> taken, rest;
  for (size_t i = 0; i < args.size(); ++i) {
    bool ours = false, with_value = false;
    for (const Flag& flag : group.flags) {
      ours =
          ours || args[i] == "--" + flag.name || absl::StartsWith(args[i], "--" + flag.name + "=");
      with_value = with_value || args[i] == "--" + flag.name;
    }
    (ours ? taken : rest).push_back(args[i]);
    if (with_value && i + 1 < args.size()) taken.push_back(args[++i]);
  }
  args = std::move(rest);
  return taken;
}

absl::StatusOr<WorkerCommandLine> ParseCommandLine(std::vector<std::string> args, Script& script) {
  const FlagGroup group = ScriptFlags(script);
  RETURN_IF_ERROR(ParseFlags(TakeScriptFlags(args, group), {group}));
  ASSIGN_OR_RETURN(WorkerCommandLine line, ParseWorkerCommandLine(args));
  config::v1::WorkerConfig& config = line.config;
  config.mutable_model()->set_path("scripted");
  config.mutable_engine()->set_device("cpu");
  if (config.engine().max_sequences() == 0) config.mutable_engine()->set_max_sequences(kSlots);
  FillDefaults(config, /*has_cuda=*/false);
  RETURN_IF_ERROR(Validate(config, /*has_cuda=*/false));
  RETURN_IF_ERROR(SetLogLevel(config.log_level()));
  return line;
}

LoadedModel LoadScripted(const Script& script) {
  absl::SleepFor(script.load_time);
  return {MakeScriptedModel(script.model), ScriptedText(), Device::Cpu(1)};
}

int Main(const std::vector<std::string>& args) {
  Script script;
  const absl::StatusOr<WorkerCommandLine> line = ParseCommandLine(args, script);
  if (!line.ok()) {
    std::fprintf(stderr, "scripted_worker: %s\n", std::string(line.status().message()).c_str());
    return kUsageError;
  }
  if (line->help) {
    std::fputs(FormatFlags({ScriptFlags(script)}).c_str(), stdout);
    std::fputs(WorkerUsage().c_str(), stdout);
    return 0;
  }
  return RunWorker(line->config, [script] { return LoadScripted(script); });
}

}  // namespace
}  // namespace skein

int main(int argc, char** argv) {
  return skein::Main(std::vector<std::string>(argv + 1, argv + argc));
}
