#include "common/config/gateway_flags.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "common/base/status_macros.h"
#include "common/config/access_flags.h"
#include "common/config/command_line.h"
#include "common/config/text_proto.h"

namespace skein {
namespace {

using config::v1::GatewayConfig;

constexpr char kUsageHead[] =
    R"(skein-gateway: an OpenAI-style HTTP API in front of skein workers.

Usage: skein-gateway [flags]

Examples:
  skein-gateway
  skein-gateway --worker 10.0.0.5:50051 --worker 10.0.0.6:50051 --listen 0.0.0.0:8080 --keys keys.txtpb
  skein-gateway --worker dns:skein-workers:50051
  skein-gateway --config gateway.conf --log-level debug

)";

constexpr char kUsageTail[] = R"(
Several workers of one model share its requests; a worker that goes away is left out until it is back.
SIGTERM and SIGINT let open answers finish; a second one quits at once.
The configuration file can set more, such as limits: proto/skein/config/v1/gateway.proto lists it.
)";

absl::Status AddWorkers(const std::string& value, GatewayConfig& config) {
  for (const absl::string_view address : absl::StrSplit(value, ',')) {
    if (address.empty()) return absl::InvalidArgumentError("an address is empty");
    config.add_worker(std::string(address));
  }
  return absl::OkStatus();
}

FlagGroup ServingFlags(GatewayConfig& config) {
  return {"Serving",
          {{"worker", "SOURCE",
            "where workers are: HOST:PORT; dns:NAME:PORT, every address of a name;\n"
            "file:PATH, one HOST:PORT per line. Names and files are followed as they\n"
            "change. Give several flags, or commas between them (default:\n"
            "127.0.0.1:50051)",
            [&](const std::string& v) { return AddWorkers(v, config); }},
           {"listen", "ADDR",
            "HTTP address (default: 127.0.0.1:8080; port 0 takes a free one and\nlogs it)",
            [&](const std::string& v) {
              config.set_listen(v);
              return absl::OkStatus();
            }},
           {"metrics-listen", "ADDR",
            "further HTTP address, of /metrics and probes alone (default: none)",
            [&](const std::string& v) {
              config.set_metrics_listen(v);
              return absl::OkStatus();
            }},
           {"grpc-listen", "ADDR", "gRPC address, such as 127.0.0.1:8090 (default: no gRPC)",
            [&](const std::string& v) {
              config.set_grpc_listen(v);
              return absl::OkStatus();
            }},
           {"rwkv-infer-listen", "ADDR",
            "HTTP address of RWKV-Infer's API, such as 127.0.0.1:9000; needs keys unless\nit is a "
            "loopback address, where it needs none (default: none)",
            [&](const std::string& v) {
              config.set_rwkv_infer_listen(v);
              return absl::OkStatus();
            }},
           {"threads", "N", "HTTP threads (default: one per core, at most 8)",
            SetUint32([&](uint32_t v) { config.set_threads(v); })},
           {"drain-timeout", "SECONDS",
            "how long open answers may take to finish at the end (default: 30)",
            SetUint32([&](uint32_t v) { config.set_drain_timeout_s(v); })}}};
}

FlagGroup ProcessFlags(GatewayConfig& config, std::string& config_path, GatewayCommandLine& line) {
  return {"Process",
          {{"config", "FILE", "a GatewayConfig in Protobuf text format; flags override it",
            [&](const std::string& v) {
              config_path = v;
              return absl::OkStatus();
            }},
           {"log-level", "LEVEL", "debug, info, warning or error (default: info)",
            [&](const std::string& v) {
              config.set_log_level(v);
              return absl::OkStatus();
            }},
           {"check-config", "", "say whether flags and configuration are valid, and end",
            [&](const std::string&) {
              line.check_config = true;
              return absl::OkStatus();
            }},
           {"health-check", "ADDR[/PATH]",
            "ask the gateway at ADDR (plain HTTP, by default for readyz);\nstatus 0 if it says "
            "yes, else 1",
            [&](const std::string& v) {
              line.health_check = v;
              return absl::OkStatus();
            }},
           {"log-format", "FORMAT", "text, or json: one object per line (default: text)",
            [&](const std::string& v) {
              config.set_log_format(v);
              return absl::OkStatus();
            }},
           {"access-log", "on|off", "a log line for each request (default: on)",
            SetSwitch([&](bool v) { config.set_access_log(v); })},
           {"help", "", "this text", [&](const std::string&) {
              line.help = true;
              return absl::OkStatus();
            }}}};
}

std::vector<FlagGroup> AllFlags(GatewayConfig& config, std::string& config_path,
                                GatewayCommandLine& line) {
  return {ServingFlags(config), AccessFlags(config), ProcessFlags(config, config_path, line)};
}

}  // namespace

absl::StatusOr<GatewayCommandLine> ParseGatewayCommandLine(const std::vector<std::string>& args) {
  GatewayCommandLine line;
  GatewayConfig from_flags;
  std::string config_path;
  RETURN_IF_ERROR(ParseFlags(args, AllFlags(from_flags, config_path, line)));
  if (line.help) return line;
  if (!config_path.empty()) {
    ASSIGN_OR_RETURN(line.config, ReadTextProto<GatewayConfig>(config_path));
  }
  // Merging would add the entries of both.
  if (!from_flags.worker().empty()) line.config.clear_worker();
  if (!from_flags.cors_origin().empty()) line.config.clear_cors_origin();
  if (!from_flags.trusted_proxy().empty()) line.config.clear_trusted_proxy();
  line.config.MergeFrom(from_flags);
  return line;
}

std::string GatewayUsage() {
  GatewayCommandLine line;
  std::string config_path;
  return absl::StrCat(kUsageHead, FormatFlags(AllFlags(line.config, config_path, line)),
                      kUsageTail);
}

}  // namespace skein
