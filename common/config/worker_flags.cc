#include "common/config/worker_flags.h"

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/config/access_flags.h"
#include "common/config/command_line.h"
#include "common/config/text_proto.h"

namespace skein {
namespace {

using config::v1::WorkerConfig;

constexpr char kUsageHead[] =
    R"(skein-worker: loads one RWKV-7 or hybrid model at a time and serves it over gRPC.

Usage: skein-worker --model PATH [flags]

Examples:
  skein-worker --model models/demo
  skein-worker --model rwkv7-g1-0.4b.pth --tokenizer rwkv_vocab_v20230424.txt --listen 0.0.0.0:50051
  skein-worker --config worker.conf --max-sequences 128

)";

constexpr char kUsageTail[] = R"(
SIGTERM and SIGINT let running requests finish; a second one quits at once.
SIGHUP reads the registry's manifest again.
The configuration file can set more: proto/skein/config/v1/worker.proto lists it all.
)";

using Set = std::function<absl::Status(const std::string&)>;

Set SetText(std::function<void(const std::string&)> store) {
  return [store = std::move(store)](const std::string& value) {
    store(value);
    return absl::OkStatus();
  };
}

FlagGroup ModelFlags(WorkerConfig& config) {
  auto& model = *config.mutable_model();
  return {
      "Model",
      {{"model", "PATH", "a model folder, a .safetensors or a .pth file",
        SetText([&](const std::string& v) { model.set_path(v); })},
       {"name", "NAME", "the name that requests use (default: the folder's or file's)",
        SetText([&](const std::string& v) { model.set_name(v); })},
       {"tokenizer", "PATH",
        "tokenizer.json or a World vocabulary (default: looked for beside\nthe model; without "
        "one only token prompts are served)",
        SetText([&](const std::string& v) { model.set_tokenizer(v); })},
       {"chat-format", "NAME", "such as chatml, qwen or world (default: recognised)",
        SetText([&](const std::string& v) { model.set_chat_format(v); })},
       {"merged-adapter", "PATH",
        "adapter that becomes part of the weights: served alone, at no cost\n(default: none)",
        SetText([&](const std::string& v) { model.mutable_merged_adapter()->set_path(v); })},
       {"model-root", "DIR",
        "directory that models loaded later may come from (LoadModel); may\nbe given again, and "
        "without --model (default: none)",
        SetText([&](const std::string& v) { config.add_model_root(v); })}}};
}

FlagGroup ServingFlags(WorkerConfig& config) {
  return {
      "Serving",
      {{"listen", "ADDR",
        "gRPC address (default: 127.0.0.1:50051; port 0 takes a free one and\nlogs it)",
        SetText([&](const std::string& v) { config.set_listen(v); })},
       {"metrics-listen", "ADDR", "HTTP address of /metrics for Prometheus (default: none)",
        SetText([&](const std::string& v) { config.set_metrics_listen(v); })},
       {"health-listen", "ADDR",
        "gRPC address for health checks alone, without TLS (default: none)",
        SetText([&](const std::string& v) { config.set_health_listen(v); })},
       {"drain-timeout", "SECONDS", "how long running requests may take at the end (default: 30)",
        SetUint32([&](uint32_t v) { config.set_drain_timeout_s(v); })},
       {"vllm-metrics", "",
        "serve the metrics under vLLM's names too, for autoscalers\nand routers",
        [&](const std::string&) {
          config.set_vllm_metrics(true);
          return absl::OkStatus();
        }},
       {"reflection", "", "serve gRPC reflection, for tools such as grpcurl",
        [&](const std::string&) {
          config.set_reflection(true);
          return absl::OkStatus();
        }}}};
}

// Each asks for the sub-message when it is given: asking makes it present.
FlagGroup RegistryFlags(WorkerConfig& config) {
  return {
      "Tuned states",
      {{"registry-root", "DIR",
        "directory that the files which clients name may come from;\nmay be given again (default: "
        "none)",
        SetText([&](const std::string& v) { config.mutable_registry()->add_root(v); })},
       {"registry-manifest", "FILE",
        "states and mixtures to have from the start; read again after\nSIGHUP (default: none)",
        SetText([&](const std::string& v) { config.mutable_registry()->set_manifest(v); })},
       {"registry-kept", "FILE",
        "where what clients register is kept for the next start\n(default: nowhere)",
        SetText([&](const std::string& v) { config.mutable_registry()->set_kept(v); })}}};
}

FlagGroup EngineFlags(WorkerConfig& config) {
  auto& engine = *config.mutable_engine();
  return {"Engine",
          {{"device", "NAME", "auto, cpu or cuda (default: auto)",
            SetText([&](const std::string& v) { engine.set_device(v); })},
           {"threads", "N", "compute threads of the CPU backend (default: one per core)",
            SetUint32([&](uint32_t v) { engine.set_threads(v); })},
           {"state-dtype", "TYPE", "WKV states on CUDA: fp32 (default) or fp16",
            SetText([&](const std::string& v) { engine.set_state_dtype(v); })},
           {"batch-invariant", "",
            "on CUDA: results do not depend on how many sequences, up to 64,\ndecode together",
            [&](const std::string&) {
              engine.set_batch_invariant(true);
              return absl::OkStatus();
            }},
           {"cache-dir", "DIR",
            "on CUDA: where measured choices of kernels are kept between runs\n(default: skein in "
            "$XDG_CACHE_HOME, or in ~/.cache)",
            SetText([&](const std::string& v) { engine.set_cache_dir(v); })},
           {"no-autotune", "",
            "on CUDA: likely kernels in place of measured ones: loads faster,\nserves slower",
            [&](const std::string&) {
              engine.set_no_autotune(true);
              return absl::OkStatus();
            }},
           {"max-sequences", "N", "sequences that run at a time (default: 64, with CUDA 256)",
            SetUint32([&](uint32_t v) { engine.set_max_sequences(v); })},
           {"max-queue", "N", "requests that wait; more are refused (default: 512)",
            SetUint32([&](uint32_t v) { engine.set_max_queue(v); })},
           {"max-queue-tokens", "N", "prompt tokens that wait; more are refused (default: 1048576)",
            SetUint32([&](uint32_t v) { engine.set_max_queue_tokens(v); })}}};
}

FlagGroup ProcessFlags(WorkerConfig& config, std::string& config_path, WorkerCommandLine& line) {
  return {"Process",
          {{"config", "FILE", "a WorkerConfig in Protobuf text format; flags override it",
            SetText([&](const std::string& v) { config_path = v; })},
           {"log-level", "LEVEL", "debug, info, warning or error (default: info)",
            SetText([&](const std::string& v) { config.set_log_level(v); })},
           {"check-config", "", "say whether flags and configuration are valid, and end",
            [&](const std::string&) {
              line.check_config = true;
              return absl::OkStatus();
            }},
           {"health-check", "ADDR[/SERVICE]",
            "ask the worker at ADDR (grpc.health.v1; default: is it ready);\nstatus 0 if it says "
            "yes, else 1",
            SetText([&](const std::string& v) { line.health_check = v; })},
           {"log-format", "FORMAT", "text, or json: one object per line (default: text)",
            SetText([&](const std::string& v) { config.set_log_format(v); })},
           {"access-log", "on|off", "a log line for each Generate and Score call (default: on)",
            SetSwitch([&](bool v) { config.set_access_log(v); })},
           {"help", "", "this text", [&](const std::string&) {
              line.help = true;
              return absl::OkStatus();
            }}}};
}

std::vector<FlagGroup> AllFlags(WorkerConfig& config, std::string& config_path,
                                WorkerCommandLine& line) {
  return {ModelFlags(config),    ServingFlags(config), AccessFlags(config),
          RegistryFlags(config), EngineFlags(config),  ProcessFlags(config, config_path, line)};
}

}  // namespace

absl::StatusOr<WorkerCommandLine> ParseWorkerCommandLine(const std::vector<std::string>& args) {
  WorkerCommandLine line;
  WorkerConfig from_flags;
  std::string config_path;
  RETURN_IF_ERROR(ParseFlags(args, AllFlags(from_flags, config_path, line)));
  if (line.help) return line;
  if (!config_path.empty()) {
    ASSIGN_OR_RETURN(line.config, ReadTextProto<WorkerConfig>(config_path));
  }
  // Merging would add the entries of both.
  if (!from_flags.registry().root().empty()) line.config.mutable_registry()->clear_root();
  if (!from_flags.model_root().empty()) line.config.clear_model_root();
  line.config.MergeFrom(from_flags);
  return line;
}

std::string WorkerUsage() {
  WorkerCommandLine line;
  std::string config_path;
  return absl::StrCat(kUsageHead, FormatFlags(AllFlags(line.config, config_path, line)),
                      kUsageTail);
}

}  // namespace skein
