// The configuration of a process: PROCESS 1f FLAGS 1f TEXT. PROCESS starts with 'w' for the worker,
// else it is the gateway; FLAGS is a list of arguments; TEXT is the file of --config.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"

#include "common/config/address.h"
#include "common/config/gateway_config.h"
#include "common/config/gateway_flags.h"
#include "common/config/text_proto.h"
#include "common/config/worker_config.h"
#include "common/config/worker_flags.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_file.h"

namespace {

using skein::fuzz::Parts;
using skein::fuzz::Require;
using skein::fuzz::RequireFailure;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

template <typename Config>
void CheckPrinted(const Config& config) {
  std::string text;
  Require(google::protobuf::TextFormat::PrintToString(config, &text),
          "a configuration can be printed");
  Config again;
  const absl::Status status = skein::ParseTextProto(text, "printed", again);
  Require(status.ok(), "what is printed can be read", status.ToString());
  Require(google::protobuf::util::MessageDifferencer::Equals(config, again) ||
              text.find("nan") != std::string::npos,
          "what is printed reads the same", text);
}

void CheckAddress(const std::string& address) {
  const auto parsed = skein::ParseHostPort(address);
  Require(parsed.ok(), "an accepted address is one", address);
  const auto again = skein::ParseHostPort(skein::FormatHostPort(parsed->host, parsed->port));
  Require(again.ok() && again->host == parsed->host && again->port == parsed->port,
          "an address that was written reads the same", address);
}

template <typename CommandLine, typename Fill>
void CheckCommandLine(const absl::StatusOr<CommandLine>& parsed, const Fill& fill) {
  if (!parsed.ok()) return RequireFailure(parsed.status(), {kInvalid});
  auto config = parsed->config;
  CheckPrinted(config);
  const absl::Status valid = fill(config);
  if (!valid.ok()) return RequireFailure(valid, {kInvalid});
  auto twice = config;
  Require(fill(twice).ok(), "a checked configuration stays one");
  Require(google::protobuf::util::MessageDifferencer::Equals(config, twice),
          "defaults are filled in once");
  CheckAddress(config.listen());
}

// No flag may name another file.
std::vector<std::string> Arguments(absl::string_view list, const std::string& file) {
  std::vector<std::string> args = {absl::StrCat("--config=", file)};
  while (!list.empty() && args.size() < 16) {
    std::string arg(Parts::NextItem(list));
    if (!absl::StrContains(arg, "config")) args.push_back(std::move(arg));
  }
  return args;
}

absl::Status FillWorker(skein::config::v1::WorkerConfig& config) {
  skein::FillDefaults(config, /*has_cuda=*/false);
  return skein::Validate(config, /*has_cuda=*/false);
}

absl::Status FillGateway(skein::config::v1::GatewayConfig& config) {
  skein::FillDefaults(config, /*num_cores=*/2);
  return skein::Validate(config);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto& file = *new skein::fuzz::MemoryFile();
  Parts parts(skein::fuzz::Text(data, size));
  const bool worker = absl::StartsWith(parts.Next(), "w");
  const std::vector<std::string> args = Arguments(parts.Next(), file.path());
  file.Write(parts.Rest());
  if (worker) {
    CheckCommandLine(skein::ParseWorkerCommandLine(args), FillWorker);
  } else {
    CheckCommandLine(skein::ParseGatewayCommandLine(args), FillGateway);
  }
  return 0;
}
