// skein-bench prefill.
#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "common/base/status_macros.h"
#include "tools/skein-bench/batch.h"
#include "tools/skein-bench/bench_options.h"
#include "tools/skein-bench/commands.h"
#include "tools/skein-bench/session.h"
#include "tools/skein-bench/timing.h"

namespace skein::bench {
namespace {

constexpr char kUsage[] =
    "usage: skein-bench prefill --shape NAME [--tokens 1x512,8x512] [OPTIONS]\n\n"
    "Feeds prompts, packed into steps of at most --slab rows, up to the first token that each\n"
    "sequence draws. Every run must draw the same tokens.\n\n";

// `count` prompts of `tokens` tokens.
struct Prompts {
  int64_t count = 1;
  int64_t tokens = 1;
  int64_t total() const { return count * tokens; }
};

struct Arguments {
  BenchOptions bench;
  std::string tokens = "1x512,1x2048,8x512";
  std::vector<Prompts> prompts;
  int64_t slab = 2048;
};

absl::StatusOr<std::vector<Prompts>> ParsePrompts(const std::string& text) {
  std::vector<Prompts> list;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<std::string> numbers = absl::StrSplit(part, 'x');
    Prompts prompts;
    if (numbers.size() != 2 || !absl::SimpleAtoi(numbers[0], &prompts.count) ||
        !absl::SimpleAtoi(numbers[1], &prompts.tokens) || prompts.count < 1 ||
        prompts.count > 65536 || prompts.tokens < 1 || prompts.tokens > 1 << 24) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--tokens \"", text, "\", expected prompts and their tokens, such as 1x512,8x512"));
    }
    list.push_back(prompts);
  }
  return list;
}

std::vector<ctl::Option> OptionTable(Arguments& arguments) {
  std::vector<ctl::Option> table = ModelOptionTable(arguments.bench);
  table.push_back(ctl::TextOption(
      "tokens", "LIST", "prompts times tokens (default 1x512,1x2048,8x512)", &arguments.tokens));
  table.push_back(ctl::IntOption("slab", "N", "rows of one step at most (default 2048)", 1, 65536,
                                 [&](int64_t value) { arguments.slab = value; }));
  for (ctl::Option& option : MachineOptionTable(arguments.bench)) {
    table.push_back(std::move(option));
  }
  return table;
}

struct Timed {
  std::vector<double> seconds;  // of each run
  bool repeats = true;
};

absl::StatusOr<Timed> Measure(Engine& engine, const Prompts& prompts, int64_t runs) {
  ASSIGN_OR_RETURN(Batch batch, Batch::Create(engine, {.sequences = prompts.count,
                                                       .prompt_tokens = prompts.tokens}));
  RETURN_IF_ERROR(engine.runner().WarmUpPrompt(std::min(prompts.total(), engine.size().max_rows)));
  Timed timed;
  std::vector<int32_t> first;
  for (int64_t run = -1; run < runs; ++run) {  // the first one warms up
    batch.Reset();
    const double begin = Now();
    RETURN_IF_ERROR(batch.Prefill());
    const double seconds = Now() - begin;
    if (run < 0) {
      first = batch.drawn();
      continue;
    }
    timed.seconds.push_back(seconds);
    timed.repeats = timed.repeats && batch.drawn() == first;
  }
  return timed;
}

Line ResultLine(const Session& session, const Prompts& prompts, const Timed& timed) {
  const double seconds = Median(timed.seconds);
  const auto [fastest, slowest] = std::minmax_element(timed.seconds.begin(), timed.seconds.end());
  const double floor = PrefillFloorSeconds(session.engine().cost(), prompts.total(), prompts.count,
                                           session.ceilings());
  return {{"prompts", absl::StrCat(prompts.count, "x", prompts.tokens)},
          {"tokens/s", static_cast<double>(prompts.total()) / seconds, 1},
          {"ms", seconds * 1e3, 3},
          {"spread %", 100 * (*slowest - *fastest) / seconds, 1},
          {"floor ms", floor * 1e3, 3},
          {"of floor %", 100 * floor / seconds, 1},
          {"repeats", timed.repeats}};
}

absl::Status Resolve(Arguments& arguments) {
  RETURN_IF_ERROR(ResolveMachine(arguments.bench));
  RETURN_IF_ERROR(ResolveModel(arguments.bench));
  ASSIGN_OR_RETURN(arguments.prompts, ParsePrompts(arguments.tokens));
  return absl::OkStatus();
}

}  // namespace

absl::Status RunPrefill(const std::vector<std::string>& args, std::ostream& out) {
  Arguments arguments;
  const std::vector<ctl::Option> table = OptionTable(arguments);
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed,
                   ParseBenchArgs("prefill", args, table, arguments.bench));
  if (parsed.help) {
    out << kUsage << "options:\n" << ctl::DescribeOptions(table);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Resolve(arguments));
  SessionSize size;
  size.max_rows = arguments.slab;
  for (const Prompts& prompts : arguments.prompts) {
    size.sequences = std::max(size.sequences, prompts.count);
    size.tokens = std::max(size.tokens, prompts.tokens + 1);
  }
  ASSIGN_OR_RETURN(Session session, Session::Open(arguments.bench, size, out));
  bool ok = true;
  for (const Prompts& prompts : arguments.prompts) {
    ASSIGN_OR_RETURN(const Timed timed, Measure(session.engine(), prompts, arguments.bench.runs));
    session.report().Add(ResultLine(session, prompts, timed));
    ok = ok && timed.repeats;
  }
  RETURN_IF_ERROR(Finish(arguments.bench, session.report()));
  return ok ? absl::OkStatus() : absl::DataLossError("a check of the results failed");
}

}  // namespace skein::bench
