// skein-bench mixture.
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "tools/skein-bench/bench_options.h"
#include "tools/skein-bench/commands.h"
#include "tools/skein-bench/session.h"
#include "tools/skein-bench/timing.h"
#include "worker/engine/batch_plan.h"
#include "worker/engine/sequence_set.h"

namespace skein::bench {
namespace {

constexpr char kUsage[] =
    "usage: skein-bench mixture --shape NAME [--rows 32] [--branches 2,4,8] [OPTIONS]\n\n"
    "Decodes batches of the same number of rows: of plain sequences, then of sequences that mix\n"
    "several states. Runs alternate, and the fastest of each are compared (x plain). The states\n"
    "mixed are alike, so each sequence must draw what a plain one draws (same).\n\n";

struct Arguments {
  BenchOptions bench;
  int64_t rows = 32;
  int64_t steps = 50;
  std::string branches = "2,4,8";
  std::vector<int64_t> counts;  // of branches, the first 1
};

std::vector<ctl::Option> OptionTable(Arguments& arguments) {
  std::vector<ctl::Option> table = ModelOptionTable(arguments.bench);
  table.push_back(ctl::IntOption("rows", "N", "in a step (default 32)", 2, 1024,
                                 [&](int64_t value) { arguments.rows = value; }));
  table.push_back(ctl::TextOption("branches", "LIST",
                                  "states of a sequence: powers of two that divide the rows "
                                  "(default 2,4,8)",
                                  &arguments.branches));
  table.push_back(ctl::IntOption("steps", "N", "of each run (default 50)", 1, 10'000,
                                 [&](int64_t value) { arguments.steps = value; }));
  for (ctl::Option& option : MachineOptionTable(arguments.bench)) {
    table.push_back(std::move(option));
  }
  return table;
}

absl::Status Resolve(Arguments& arguments) {
  RETURN_IF_ERROR(ResolveMachine(arguments.bench));
  RETURN_IF_ERROR(ResolveModel(arguments.bench));
  ASSIGN_OR_RETURN(arguments.counts, ParseList("branches", arguments.branches));
  for (const int64_t count : arguments.counts) {
    // Weights of 1 / count are then exact, and so is the sum of logits that are alike.
    if ((count & (count - 1)) == 0 && arguments.rows % count == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--branches: ", count, ", expected powers of two that divide ", arguments.rows, " rows"));
  }
  arguments.counts.insert(arguments.counts.begin(), 1);
  return absl::OkStatus();
}

std::unique_ptr<ActiveRequest> MakeRequest(int64_t index, int64_t branches, int64_t steps) {
  auto request = std::make_unique<ActiveRequest>();
  GenerationRequest& wanted = request->request;
  wanted.prompt = {static_cast<int32_t>(index + 1)};
  wanted.sampling.temperature = 1.0f;
  wanted.sampling.top_p = 0.8f;
  wanted.sampling.seed = static_cast<uint64_t>(index) + 1;
  wanted.stopping.max_tokens = steps;
  request->forked = true;
  if (branches == 1) return request;
  wanted.conditioning.branches.assign(branches, {nullptr, 1.0f / static_cast<float>(branches)});
  return request;
}

struct Run {
  double step_seconds = 0;      // mean
  std::vector<int32_t> tokens;  // [steps, sequences]
};

absl::StatusOr<Run> TimedRun(Engine& engine, int64_t rows, int64_t branches, int64_t steps) {
  const int64_t count = rows / branches;
  std::vector<std::unique_ptr<ActiveRequest>> requests;
  SequenceSet sequences(&engine.states(), &engine.pages(), nullptr);
  std::vector<PlannedRows> planned;
  for (int64_t i = 0; i < count; ++i) {
    requests.push_back(MakeRequest(i, branches, steps));
    if (!sequences.Admit(*requests.back())) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for sequence ", i, " of ", count));
    }
    planned.push_back({static_cast<int>(i), 1});
  }
  BatchBuilder builder(engine.model().description().vocab_size, {});
  Run run;
  const double begin = Now();
  for (int64_t step = 0; step < steps; ++step) {
    sequences.MakeRoom();
    ASSIGN_OR_RETURN(const StepResult* const result,
                     engine.runner().Run(builder.Build(planned, sequences.all())));
    for (int64_t i = 0; i < count; ++i) {
      if (result->outcomes[i] != SampleOutcome::kOk) {
        return absl::DataLossError(absl::StrCat("sequence ", i, ": the logits are not finite"));
      }
      Sequence& sequence = *sequences.all()[i];
      sequence.num_fed = sequence.num_tokens();
      sequence.tokens.push_back(result->tokens[i]);
      ++sequence.num_drawn;
      run.tokens.push_back(result->tokens[i]);
    }
  }
  run.step_seconds = (Now() - begin) / static_cast<double>(steps);
  return run;
}

// Whether the sequences of `mixed` drew what the first sequences of `plain` did.
bool SameTokens(const Run& mixed, const Run& plain, int64_t count, int64_t plain_count) {
  for (size_t i = 0; i < mixed.tokens.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    if (mixed.tokens[i] != plain.tokens[at / count * plain_count + at % count]) return false;
  }
  return true;
}

// Of one number of branches.
struct Measured {
  std::vector<double> step_seconds;
  bool same = true;
};

absl::StatusOr<std::vector<Measured>> Measure(Engine& engine, const Arguments& arguments) {
  RETURN_IF_ERROR(engine.runner().WarmUpDecode(arguments.rows));
  std::vector<Measured> all(arguments.counts.size());
  for (int64_t round = -1; round < arguments.bench.runs; ++round) {
    Run plain;
    for (size_t i = 0; i < all.size(); ++i) {
      const int64_t branches = arguments.counts[i];
      const int64_t steps = round < 0 ? std::min<int64_t>(arguments.steps, 5) : arguments.steps;
      ASSIGN_OR_RETURN(Run run, TimedRun(engine, arguments.rows, branches, steps));
      if (i == 0) plain = run;
      all[i].same =
          all[i].same && SameTokens(run, plain, arguments.rows / branches, arguments.rows);
      if (round >= 0) all[i].step_seconds.push_back(run.step_seconds);
    }
  }
  return all;
}

double Fastest(const Measured& measured) {
  return *std::min_element(measured.step_seconds.begin(), measured.step_seconds.end());
}

}  // namespace

absl::Status RunMixture(const std::vector<std::string>& args, std::ostream& out) {
  Arguments arguments;
  const std::vector<ctl::Option> table = OptionTable(arguments);
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed,
                   ParseBenchArgs("mixture", args, table, arguments.bench));
  if (parsed.help) {
    out << kUsage << "options:\n" << ctl::DescribeOptions(table);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Resolve(arguments));
  ASSIGN_OR_RETURN(Session session, Session::Open(arguments.bench,
                                                  {.sequences = arguments.rows,
                                                   .tokens = arguments.steps + Engine::kPageTokens},
                                                  out));
  ASSIGN_OR_RETURN(const std::vector<Measured> all, Measure(session.engine(), arguments));
  bool ok = true;
  for (size_t i = 0; i < all.size(); ++i) {
    const int64_t branches = arguments.counts[i];
    session.report().Add({{"branches", branches},
                          {"sequences", arguments.rows / branches},
                          {"ms/step", Median(all[i].step_seconds) * 1e3, 3},
                          {"fastest ms", Fastest(all[i]) * 1e3, 3},
                          {"x plain", Fastest(all[i]) / Fastest(all[0]), 3},
                          {"same", all[i].same}});
    ok = ok && all[i].same;
  }
  RETURN_IF_ERROR(Finish(arguments.bench, session.report()));
  return ok ? absl::OkStatus() : absl::DataLossError("a check of the results failed");
}

}  // namespace skein::bench
