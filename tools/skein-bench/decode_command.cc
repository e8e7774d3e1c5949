// skein-bench decode.
#include <algorithm>
#include <ostream>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "tools/skein-bench/batch.h"
#include "tools/skein-bench/bench_options.h"
#include "tools/skein-bench/commands.h"
#include "tools/skein-bench/hidden_zeros.h"
#include "tools/skein-bench/memory_plan.h"
#include "tools/skein-bench/session.h"
#include "tools/skein-bench/timing.h"

namespace skein::bench {
namespace {

constexpr char kUsage[] =
    "usage: skein-bench decode --shape NAME [--batch 1,8,32] [OPTIONS]\n\n"
    "Each sequence of a batch has a prompt and a state of its own. One step goes from the plan of\n"
    "the batch to the drawn tokens on the host, head and sampling (temperature 1, top_p 0.8)\n"
    "included. Every run starts from the same states and must draw the same tokens.\n\n";

constexpr int64_t kPromptTokens = 16;
constexpr int64_t kWarmUpSteps = 20;
// Trajectories of so many tokens are different ones unless sequences are mixed up.
constexpr int64_t kTellingSteps = 8;

struct Arguments {
  BenchOptions bench;
  std::string batch = "1,8,32";
  std::vector<int64_t> batches;
  int64_t steps = 200;
  int64_t context = 4096;
  std::string device_memory;
};

std::vector<ctl::Option> OptionTable(Arguments& arguments) {
  std::vector<ctl::Option> table = ModelOptionTable(arguments.bench);
  table.push_back(
      ctl::TextOption("batch", "LIST", "sequences in a step (default 1,8,32)", &arguments.batch));
  table.push_back(ctl::IntOption("steps", "N", "of each run (default 200)", 1, 100'000,
                                 [&](int64_t value) { arguments.steps = value; }));
  table.push_back(ctl::IntOption("context", "N",
                                 "hybrids: tokens in the KV cache before the first step "
                                 "(default 4096)",
                                 0, 1 << 24, [&](int64_t value) { arguments.context = value; }));
  table.push_back(
      ctl::TextOption("device-memory", "AMOUNT",
                      "plan for a GPU with so much memory, such as 24GiB, and leave out "
                      "batches that do not fit it",
                      &arguments.device_memory));
  for (ctl::Option& option : MachineOptionTable(arguments.bench)) {
    table.push_back(std::move(option));
  }
  return table;
}

struct Timed {
  std::vector<double> step_seconds;  // mean of each run
  bool repeats = true;               // all runs drew the same tokens
  bool distinct = true;              // no two sequences drew the same tokens
};

bool AllDistinct(const std::vector<int32_t>& drawn, int64_t sequences) {
  const int64_t draws = static_cast<int64_t>(drawn.size()) / sequences;
  if (draws < kTellingSteps) return true;
  std::unordered_set<std::string> seen;
  for (int64_t s = 0; s < sequences; ++s) {
    std::string tokens;
    for (int64_t d = 0; d < draws; ++d) absl::StrAppend(&tokens, drawn[d * sequences + s], " ");
    if (!seen.insert(std::move(tokens)).second) return false;
  }
  return true;
}

absl::StatusOr<double> TimedRun(Batch& batch, int64_t steps) {
  batch.Reset();
  RETURN_IF_ERROR(batch.Prefill());
  const double begin = Now();
  for (int64_t i = 0; i < steps; ++i) RETURN_IF_ERROR(batch.Step());
  return (Now() - begin) / static_cast<double>(steps);
}

absl::StatusOr<Timed> Measure(Engine& engine, int64_t sequences, const Arguments& arguments) {
  ASSIGN_OR_RETURN(Batch batch, Batch::Create(engine, {.sequences = sequences,
                                                       .prompt_tokens = kPromptTokens,
                                                       .context = arguments.context,
                                                       .max_new_tokens = arguments.steps + 1}));
  RETURN_IF_ERROR(engine.runner().WarmUpDecode(sequences));
  RETURN_IF_ERROR(TimedRun(batch, std::min(kWarmUpSteps, arguments.steps)).status());
  Timed timed;
  std::vector<int32_t> first = batch.drawn();
  for (int64_t run = 0; run < arguments.bench.runs; ++run) {
    ASSIGN_OR_RETURN(const double seconds, TimedRun(batch, arguments.steps));
    timed.step_seconds.push_back(seconds);
    const std::vector<int32_t>& drawn = batch.drawn();
    timed.repeats = timed.repeats && std::equal(first.begin(), first.end(), drawn.begin());
    first = drawn;
  }
  timed.distinct = AllDistinct(first, sequences);
  return timed;
}

Line ResultLine(const Session& session, int64_t sequences, const Timed& timed, int64_t context) {
  const double seconds = Median(timed.step_seconds);
  const auto [fastest, slowest] =
      std::minmax_element(timed.step_seconds.begin(), timed.step_seconds.end());
  const ModelCost cost = session.engine().cost();
  const double live = session.zeros().LiveShare(sequences);
  const double floor = DecodeFloorSeconds(cost, sequences, context, live, session.ceilings());
  return {{"batch", sequences},          {"tokens/s", static_cast<double>(sequences) / seconds, 1},
          {"ms/step", seconds * 1e3, 3}, {"spread %", 100 * (*slowest - *fastest) / seconds, 1},
          {"floor ms", floor * 1e3, 3},  {"of floor %", 100 * floor / seconds, 1},
          {"live %", 100 * live, 1},     {"repeats", timed.repeats},
          {"distinct", timed.distinct}};
}

absl::Status Resolve(Arguments& arguments) {
  RETURN_IF_ERROR(ResolveMachine(arguments.bench));
  RETURN_IF_ERROR(ResolveModel(arguments.bench));
  if (!arguments.bench.engine.shape.hybrid) arguments.context = 0;
  ASSIGN_OR_RETURN(arguments.batches, ParseList("batch", arguments.batch));
  return absl::OkStatus();
}

// Says how many sequences fit, and drops the batches that do not.
absl::Status PlanBatches(Arguments& arguments, int64_t tokens, std::ostream& out) {
  if (arguments.device_memory.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int64_t limit, ParseMemory(arguments.device_memory));
  std::vector<int64_t>& batches = arguments.batches;
  const int64_t largest = *std::max_element(batches.begin(), batches.end());
  const MemoryPlan plan = PlanMemory(
      arguments.bench.engine, {.max_rows = SessionRows(largest), .tokens_per_sequence = tokens});
  const int64_t fit = plan.SequencesIn(limit);
  out << absl::StrFormat("memory: %s; ", Describe(plan));
  if (fit < 0) {
    out << absl::StrFormat("the model does not fit %s\n", arguments.device_memory);
  } else {
    out << absl::StrFormat("%d sequences fit %s\n", fit, arguments.device_memory);
  }
  std::erase_if(batches, [fit](int64_t batch) { return batch > fit; });
  if (!batches.empty()) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("no batch of --batch fits ", arguments.device_memory));
}

}  // namespace

absl::Status RunDecode(const std::vector<std::string>& args, std::ostream& out) {
  Arguments arguments;
  const std::vector<ctl::Option> table = OptionTable(arguments);
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed,
                   ParseBenchArgs("decode", args, table, arguments.bench));
  if (parsed.help) {
    out << kUsage << "options:\n" << ctl::DescribeOptions(table);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Resolve(arguments));
  const int64_t tokens = arguments.context + kPromptTokens + arguments.steps + 1;
  RETURN_IF_ERROR(PlanBatches(arguments, tokens, out));
  const int64_t largest = *std::max_element(arguments.batches.begin(), arguments.batches.end());
  ASSIGN_OR_RETURN(Session session,
                   Session::Open(arguments.bench, {.sequences = largest, .tokens = tokens}, out));
  RETURN_IF_ERROR(session.engine().FillPages());
  bool ok = true;
  for (const int64_t sequences : arguments.batches) {
    ASSIGN_OR_RETURN(const Timed timed, Measure(session.engine(), sequences, arguments));
    session.report().Add(ResultLine(session, sequences, timed, arguments.context));
    ok = ok && timed.repeats && timed.distinct;
  }
  RETURN_IF_ERROR(Finish(arguments.bench, session.report()));
  return ok ? absl::OkStatus() : absl::DataLossError("a check of the results failed");
}

}  // namespace skein::bench
