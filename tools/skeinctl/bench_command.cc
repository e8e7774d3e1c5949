#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "tools/skeinctl/bench_report.h"
#include "tools/skeinctl/commands.h"
#include "tools/skeinctl/load_generator.h"

namespace skein::ctl {
namespace {

constexpr char kDetails[] =
    "Keeps a number of completions running, or with --rate begins them whatever becomes of earlier "
    "ones. Prints the\n"
    "time to the first token, the time between tokens and the time of whole requests (p50, p90, "
    "p99, max), "
    "tokens per\n"
    "second, and errors by kind. Each answer is checked: token counts and finish_reason must be "
    "what was asked for. Exit status 1 if any request failed or "
    "was answered wrongly;\n"
    "with --rate refusals for want of room (429) are no failure.\n"
    "A server may send several tokens in one piece when the client or the network is slow: between "
    "tokens is the time\n"
    "between pieces.";

constexpr int kConcurrency = 8;
constexpr int kOpenLoopConcurrency = 1000;

struct BenchOptions {
  ServerOptions server;
  LoadOptions load;
  int concurrency = 0;  // 0: the default
  bool stop_at_eos = false;
  bool no_stream = false;
  bool json = false;
};

std::vector<Option> BenchOptionTable(BenchOptions& out) {
  LoadOptions& load = out.load;
  ArrivalOptions& arrivals = out.load.arrivals;
  std::vector<Option> table = ServerOptionTable(out.server);
  table.push_back(TextOption("grpc", "HOST:PORT",
                             "call a gateway's or a worker's gRPC port instead of --url",
                             &load.grpc_address));
  table.push_back(IntOption("concurrency", "N",
                            "requests at the same time (default 8, with --rate 1000)", 1, 10000,
                            [&out](int64_t value) { out.concurrency = static_cast<int>(value); }));
  table.push_back(NumberOption("rate", "R",
                               "begin so many requests per second (default: when one ends)", 0.001,
                               1e6, [&arrivals](double value) { arrivals.rate = value; }));
  table.push_back(
      SwitchOption("even", "with --rate: at even distances, not at random", &arrivals.even));
  table.push_back(IntOption("requests", "N",
                            "requests in all (default 100, unless --seconds is given)", 1, 1 << 30,
                            [&arrivals](int64_t value) { arrivals.requests = value; }));
  table.push_back(
      NumberOption("seconds", "S", "begin requests for so long, then let them end", 0.1, 1e6,
                   [&arrivals](double value) { arrivals.duration = absl::Seconds(value); }));
  table.push_back(IntOption("prompt-tokens", "N", "length of each prompt (default 64)", 1, 1 << 24,
                            [&load](int64_t value) { load.prompt_tokens = value; }));
  table.push_back(IntOption("max-tokens", "N", "length of each answer (default 64)", 1, 1 << 24,
                            [&load](int64_t value) { load.max_tokens = value; }));
  table.push_back(NumberOption("temperature", "T", "of the sampling (default 1)", 0, 100,
                               [&load](double value) { load.temperature = value; }));
  table.push_back(IntOption("seed", "N", "of the first request; the next has N + 1 (default 1)", 0,
                            INT64_MAX / 2, [&load](int64_t value) { load.seed = value; }));
  table.push_back(
      SwitchOption("stop-at-eos", "answers may end before --max-tokens", &out.stop_at_eos));
  table.push_back(SwitchOption("no-stream", "ask for whole answers", &out.no_stream));
  table.push_back(SwitchOption("json", "print one JSON object instead of the table", &out.json));
  return table;
}

// Completes `options.load` with what only the server knows. Returns tokens to make prompts of.
absl::StatusOr<TokenIds> Prepare(BenchOptions& options) {
  LoadOptions& load = options.load;
  ASSIGN_OR_RETURN(load.url, UrlOf(options.server));
  ArrivalOptions& arrivals = load.arrivals;
  const bool bounded = arrivals.requests > 0 || arrivals.duration != absl::InfiniteDuration();
  if (!bounded) arrivals.requests = 100;
  arrivals.seed = load.seed;
  const int default_concurrency = arrivals.rate > 0 ? kOpenLoopConcurrency : kConcurrency;
  load.concurrency = options.concurrency > 0 ? options.concurrency : default_concurrency;
  load.ignore_eos = !options.stop_at_eos;
  load.stream = !options.no_stream;
  load.model = options.server.model;
  if (load.grpc_address.empty()) {
    ASSIGN_OR_RETURN(load.model, ApiClient(load.url).ChooseModel(load.model));
  }
  return SampleTokens(load);
}

absl::Status Bench(BenchOptions& options, Terminal& terminal) {
  ASSIGN_OR_RETURN(const TokenIds sample, Prepare(options));
  const BenchReport report = Summarise(RunLoad(options.load, sample));
  terminal.out << (options.json ? absl::StrCat(FormatJson(report), "\n") : FormatTable(report));
  const bool may_refuse = options.load.arrivals.rate > 0;
  const int64_t failed = report.failed + (may_refuse ? 0 : report.refused);
  if (failed > 0) {
    return absl::InternalError(absl::StrCat(failed, " requests failed or were answered wrongly"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunBench(const std::vector<std::string>& args, Terminal& terminal) {
  BenchOptions options;
  const std::vector<Option> table = BenchOptionTable(options);
  ASSIGN_OR_RETURN(const ParsedArgs parsed, ParseArgs(args, table));
  if (parsed.help) {
    terminal.out << HelpText("bench [OPTIONS]", kDetails, table);
    return absl::OkStatus();
  }
  if (!parsed.positional.empty()) return absl::InvalidArgumentError("bench takes no arguments");
  const std::string& address = options.load.grpc_address;
  return Explain(Bench(options, terminal), address.empty() ? options.server.url : address);
}

}  // namespace skein::ctl
