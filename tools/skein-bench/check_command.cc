// skein-bench check.
#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_split.h"

#include "common/base/status_macros.h"
#include "tools/skein-bench/batch.h"
#include "tools/skein-bench/bench_options.h"
#include "tools/skein-bench/commands.h"

namespace skein::bench {
namespace {

constexpr char kUsage[] =
    "usage: skein-bench check [--shape tiny,hybrid-tiny] [OPTIONS]\n\n"
    "Feeds the same prompts to the backend in batches and to the CPU backend one by one, and "
    "compares\n"
    "the likeliest tokens after them. Prompts are fed packed, as in prefill, and in lockstep, as "
    "in\n"
    "decode.\n\n";

constexpr int kNumTop = 20;
constexpr int kMinCommon = 15;         // of them must be in both lists: ties at the end may differ
constexpr int64_t kPromptTokens = 70;  // more than one chunk of any kernel
constexpr int64_t kMaxRows = 128;      // of a step: prompts are cut, and packed

struct Arguments {
  BenchOptions bench;
  std::string sequences = "1,3,8,40";
};

struct Difference {
  double largest = 0;  // between log-probabilities of the same token
  int least_common = kNumTop;
};

// What the CPU gives each sequence alone, and what a backend gives a batch.
struct Tops {
  std::vector<int32_t> tokens;  // [sequences, kMaxTopLogprobs]
  std::vector<float> logprobs;
};

absl::StatusOr<Tops> RunBatch(Engine& engine, int64_t sequences, bool lockstep) {
  ASSIGN_OR_RETURN(Batch batch, Batch::Create(engine, {.sequences = sequences,
                                                       .prompt_tokens = kPromptTokens,
                                                       .lockstep = lockstep,
                                                       .num_top = kNumTop}));
  RETURN_IF_ERROR(batch.Prefill());
  return Tops{batch.top_tokens(), batch.top_logprobs()};
}

Difference Compare(const Tops& found, const Tops& wanted, int64_t sequences) {
  Difference difference;
  for (int64_t s = 0; s < sequences; ++s) {
    absl::flat_hash_map<int32_t, float> by_token;
    for (int i = 0; i < kNumTop; ++i) {
      const int64_t at = s * kMaxTopLogprobs + i;
      by_token[wanted.tokens[at]] = wanted.logprobs[at];
    }
    int common = 0;
    for (int i = 0; i < kNumTop; ++i) {
      const int64_t at = s * kMaxTopLogprobs + i;
      const auto other = by_token.find(found.tokens[at]);
      if (other == by_token.end()) continue;
      ++common;
      const double distance = std::abs(double{found.logprobs[at]} - other->second);
      difference.largest = std::max(difference.largest, distance);
    }
    difference.least_common = std::min(difference.least_common, common);
  }
  return difference;
}

class Checker {
 public:
  Checker(const Arguments& arguments, const std::vector<int64_t>& counts, Report& report)
      : arguments_(arguments), counts_(counts), report_(report) {}

  absl::Status CheckShape(const std::string& shape) {
    BenchOptions options = arguments_.bench;
    options.shape = shape;
    RETURN_IF_ERROR(ResolveModel(options));
    const EngineSize size = {.max_rows = kMaxRows,
                             .sequences = *std::max_element(counts_.begin(), counts_.end()),
                             .tokens_per_sequence = kPromptTokens + 1};
    ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Create(options.engine, size));
    EngineOptions plain = options.engine;
    plain.backend = "cpu";
    plain.state = DType::kF32;
    ASSIGN_OR_RETURN(const std::unique_ptr<Engine> reference, Engine::Create(plain, size));
    ASSIGN_OR_RETURN(const Tops wanted, RunBatch(*reference, size.sequences, false));
    for (const int64_t count : counts_) {
      for (const bool lockstep : {false, true}) {
        ASSIGN_OR_RETURN(const Tops found, RunBatch(*engine, count, lockstep));
        Add(options, count, lockstep, Compare(found, wanted, count));
      }
    }
    return absl::OkStatus();
  }

  bool ok() const { return ok_; }

 private:
  // On the CPU a row is the same, to the bit, whatever is beside it.
  double Tolerance(const BenchOptions& options) const {
    if (options.engine.backend == "cpu") return 0;
    return options.engine.format == DType::kBF16 ? 0.3 : 0.05;
  }

  void Add(const BenchOptions& options, int64_t count, bool lockstep,
           const Difference& difference) {
    const double tolerance = Tolerance(options);
    const bool ok = difference.largest <= tolerance && difference.least_common >= kMinCommon;
    report_.Add({{"shape", options.shape},
                 {"weights", options.format},
                 {"rows", count},
                 {"fed", lockstep ? "lockstep" : "packed"},
                 {"common", int64_t{difference.least_common}},
                 {"largest", difference.largest, 5},
                 {"allowed", tolerance, 5},
                 {"equal", ok}});
    ok_ = ok_ && ok;
  }

  const Arguments& arguments_;
  const std::vector<int64_t>& counts_;
  Report& report_;
  bool ok_ = true;
};

}  // namespace

absl::Status RunCheck(const std::vector<std::string>& args, std::ostream& out) {
  Arguments arguments;
  arguments.bench.shape = "tiny,hybrid-tiny";
  std::vector<ctl::Option> table = ModelOptionTable(arguments.bench);
  table.push_back(ctl::TextOption("batch", "LIST", "sequences in a batch (default 1,3,8,40)",
                                  &arguments.sequences));
  for (ctl::Option& option : MachineOptionTable(arguments.bench)) {
    table.push_back(std::move(option));
  }
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed,
                   ParseBenchArgs("check", args, table, arguments.bench));
  if (parsed.help) {
    out << kUsage << "options:\n" << ctl::DescribeOptions(table);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(ResolveMachine(arguments.bench));
  ASSIGN_OR_RETURN(const std::vector<int64_t> counts, ParseList("batch", arguments.sequences));
  ASSIGN_OR_RETURN(const std::unique_ptr<Device> device, OpenDevice(arguments.bench.engine));
  Report report(out, About(arguments.bench, *device));
  Checker checker(arguments, counts, report);
  const std::vector<std::string> shapes = absl::StrSplit(arguments.bench.shape, ',');
  for (const std::string& shape : shapes) {
    RETURN_IF_ERROR(checker.CheckShape(shape));
  }
  RETURN_IF_ERROR(Finish(arguments.bench, report));
  return checker.ok() ? absl::OkStatus() : absl::DataLossError("the backend differs from the CPU");
}

}  // namespace skein::bench
