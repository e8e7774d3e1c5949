// skein-bench kernel.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "common/base/status_macros.h"
#include "kernels/device/memory.h"
#include "tools/skein-bench/bench_options.h"
#include "tools/skein-bench/ceilings.h"
#include "tools/skein-bench/commands.h"
#include "tools/skein-bench/gpu.h"
#include "tools/skein-bench/kernel_case.h"
#include "tools/skein-bench/timing.h"
#include "worker/weights/tensor_entry.h"

namespace skein::bench {
namespace {

constexpr char kUsage[] =
    "usage: skein-bench kernel NAME[,NAME..] --shape NAME [--rows 1,8,32] [OPTIONS]\n\n"
    "Runs one operation with the arguments of a model's layer, in turn on so many copies of its\n"
    "weights and states that caches hold none of them. \"8\" rows are a decode of 8 sequences, "
    "\"2x512\" rows\n"
    "two prompts. Its results are compared with those of the CPU backend, and those of a second "
    "run.\n\n";

constexpr int kRounds = 20;
constexpr int64_t kMinRuns = 16;          // in a round
constexpr int64_t kMaxComparedRows = 64;  // the CPU takes long for more

struct Arguments {
  BenchOptions bench;
  std::string rows = "1,8,32";
  std::vector<std::string> names;
  std::vector<StepRows> steps;
  int64_t context = 4096;
};

absl::StatusOr<std::vector<StepRows>> ParseRows(const std::string& text) {
  std::vector<StepRows> list;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<std::string> numbers = absl::StrSplit(part, 'x');
    StepRows rows;
    const bool parsed = absl::SimpleAtoi(numbers[0], &rows.sequences) &&
                        (numbers.size() == 1 ||
                         (numbers.size() == 2 && absl::SimpleAtoi(numbers[1], &rows.tokens)));
    if (!parsed || rows.sequences < 1 || rows.tokens < 1 || rows.sequences > 65536 ||
        rows.tokens > 65536 || rows.count() > 65536) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--rows \"", text, "\", expected sequences, or sequences times tokens, such as 8,2x512"));
    }
    list.push_back(rows);
  }
  return list;
}

absl::Status RunAll(const KernelCase& kernel, int64_t runs) {
  for (int64_t i = 0; i < runs; ++i) RETURN_IF_ERROR(kernel.run(i % kernel.copies));
  return absl::OkStatus();
}

// Seconds of one run.
absl::StatusOr<double> Time(const KernelCase& kernel, Device& device) {
  const Stream stream = device.stream();
  const int64_t runs = stream.on_cpu() ? kernel.copies : std::max(kernel.copies, kMinRuns);
  RETURN_IF_ERROR(RunAll(kernel, kernel.copies));
  RETURN_IF_ERROR(Synchronize(stream));
#if SKEIN_CUDA
  if (!stream.on_cpu()) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Graph> graph,
                     Capture(stream, [&] { return RunAll(kernel, runs); }));
    ASSIGN_OR_RETURN(const double seconds, DeviceSeconds(stream.cuda(), kRounds, [&](int) {
                       return graph->Launch(stream);
                     }));
    return seconds / static_cast<double>(runs);
  }
#endif
  std::vector<double> seconds;
  for (int round = 0; round < kRounds && (round < 3 || seconds[0] < 0.2); ++round) {
    const double begin = Now();
    RETURN_IF_ERROR(RunAll(kernel, runs));
    seconds.push_back((Now() - begin) / static_cast<double>(runs));
  }
  return Median(std::move(seconds));
}

using Bytes = std::vector<std::byte>;

absl::StatusOr<std::vector<Bytes>> FetchAll(const std::vector<KernelCase::Part>& parts,
                                            OpMemory& memory) {
  std::vector<Bytes> all;
  for (const KernelCase::Part& part : parts) {
    ASSIGN_OR_RETURN(Bytes bytes, memory.Fetch(part.data, part.bytes()));
    all.push_back(std::move(bytes));
  }
  return all;
}

// What one run from the same start leaves in outputs and in what it changes in place, twice.
struct TwoRuns {
  std::vector<Bytes> first;
  bool equal = false;
};

absl::StatusOr<TwoRuns> RunTwice(const KernelCase& kernel, OpMemory& memory) {
  std::vector<KernelCase::Part> results = kernel.outputs;
  results.insert(results.end(), kernel.in_place.begin(), kernel.in_place.end());
  ASSIGN_OR_RETURN(const std::vector<Bytes> start, FetchAll(kernel.in_place, memory));
  TwoRuns runs;
  for (int run = 0; run < 2; ++run) {
    // What is not written stays NaN, or -1.
    for (const KernelCase::Part& part : kernel.outputs) {
      const Bytes poison(static_cast<size_t>(part.bytes()), std::byte{0xff});
      RETURN_IF_ERROR(memory.Store(part.data, poison));
    }
    for (size_t i = 0; i < start.size(); ++i) {
      RETURN_IF_ERROR(memory.Store(kernel.in_place[i].data, start[i]));
    }
    RETURN_IF_ERROR(kernel.run(0));
    ASSIGN_OR_RETURN(std::vector<Bytes> results_now, FetchAll(results, memory));
    runs.equal = results_now == runs.first;
    if (run == 0) runs.first = std::move(results_now);
  }
  return runs;
}

absl::StatusOr<std::vector<float>> Floats(const KernelCase::Part& part, const Bytes& bytes) {
  std::vector<float> values(static_cast<size_t>(part.count));
  if (part.dtype == DType::kI32) {
    for (size_t i = 0; i < values.size(); ++i) {
      int32_t number = 0;
      std::memcpy(&number, bytes.data() + i * sizeof(number), sizeof(number));
      values[i] = static_cast<float>(number);
    }
    return values;
  }
  RETURN_IF_ERROR(ConvertToFloat(part.dtype, bytes.data(), part.count, values.data()));
  return values;
}

// Whether every result was written, with a finite number.
absl::StatusOr<bool> AllWritten(const KernelCase& kernel, const std::vector<Bytes>& results) {
  for (size_t i = 0; i < kernel.outputs.size(); ++i) {
    ASSIGN_OR_RETURN(const std::vector<float> values, Floats(kernel.outputs[i], results[i]));
    const bool integers = kernel.outputs[i].dtype == DType::kI32;
    if (!std::all_of(values.begin(), values.end(), [integers](float value) {
          return integers ? value >= 0 : std::isfinite(value);
        })) {
      return false;
    }
  }
  return true;
}

// The largest distance over the largest value; of integers the share that differs. Infinity where
// something is not finite.
double Distance(bool integers, const std::vector<float>& found, const std::vector<float>& wanted) {
  double largest = 0, size = 1e-30;
  int64_t different = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!std::isfinite(found[i])) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(double{found[i]} - wanted[i]));
    size = std::max(size, std::abs(double{wanted[i]}));
    different += found[i] == wanted[i] ? 0 : 1;
  }
  return integers ? static_cast<double>(different) / static_cast<double>(wanted.size())
                  : largest / size;
}

class KernelBench {
 public:
  KernelBench(const Arguments& arguments, Device& device, ParallelFor& threads,
              const Ceilings& ceilings, Report& report)
      : arguments_(arguments),
        device_(device),
        threads_(threads),
        ceilings_(ceilings),
        report_(report) {}

  absl::Status Measure(const std::string& name, const StepRows& rows) {
    KernelOptions options{arguments_.bench.engine, rows, arguments_.context};
    OpMemory memory(device_, threads_);
    ASSIGN_OR_RETURN(const KernelCase kernel, MakeKernelCase(name, options, device_, memory));
    ASSIGN_OR_RETURN(const TwoRuns runs, RunTwice(kernel, memory));
    ASSIGN_OR_RETURN(const bool written, AllWritten(kernel, runs.first));
    double distance = 0;
    if (rows.count() <= kMaxComparedRows) {
      ASSIGN_OR_RETURN(distance, FromCpu(name, options, kernel, runs.first));
    }
    ASSIGN_OR_RETURN(const double seconds, Time(kernel, device_));
    Add(name, rows, kernel, seconds, {distance, written, runs.equal});
    return absl::OkStatus();
  }

  bool ok() const { return ok_; }

 private:
  // How far the results are from those of the CPU backend.
  absl::StatusOr<double> FromCpu(const std::string& name, KernelOptions options,
                                 const KernelCase& kernel, const std::vector<Bytes>& found) {
    options.max_copies = 1;
    const std::unique_ptr<Device> cpu = Device::Cpu(arguments_.bench.engine.threads);
    OpMemory memory(*cpu, threads_);
    ASSIGN_OR_RETURN(const KernelCase reference, MakeKernelCase(name, options, *cpu, memory));
    RETURN_IF_ERROR(reference.run(0));
    ASSIGN_OR_RETURN(const std::vector<Bytes> wanted, FetchAll(reference.outputs, memory));
    double largest = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSIGN_OR_RETURN(const std::vector<float> a, Floats(kernel.outputs[i], found[i]));
      ASSIGN_OR_RETURN(const std::vector<float> b, Floats(reference.outputs[i], wanted[i]));
      largest = std::max(largest, Distance(kernel.outputs[i].dtype == DType::kI32, a, b));
    }
    return largest;
  }

  double Allowed() const {
    if (arguments_.bench.engine.backend == "cpu") return 0;
    return arguments_.bench.engine.format == DType::kBF16 ? 0.04 : 0.01;
  }

  struct Verdict {
    double distance = 0;  // from the CPU's results
    bool written = false;
    bool equal = false;  // two runs
  };

  void Add(const std::string& name, const StepRows& rows, const KernelCase& kernel, double seconds,
           const Verdict& verdict) {
    const double floor = std::max(kernel.bytes / ceilings_.bytes_per_second,
                                  kernel.flops / ceilings_.flops_per_second);
    const bool close = verdict.distance <= Allowed();
    report_.Add({{"operation", name},
                 {"rows", rows.tokens == 1 ? absl::StrCat(rows.sequences)
                                           : absl::StrCat(rows.sequences, "x", rows.tokens)},
                 {"us", seconds * 1e6, 2},
                 {"GB/s", kernel.bytes / seconds / 1e9, 1},
                 {"TFLOP/s", kernel.flops / seconds / 1e12, 2},
                 {"floor us", floor * 1e6, 2},
                 {"of floor %", 100 * floor / seconds, 1},
                 {"copies", kernel.copies},
                 {"from CPU", verdict.distance, 5},
                 {"close", close},
                 {"written", verdict.written},
                 {"repeats", verdict.equal}});
    ok_ = ok_ && close && verdict.written && verdict.equal;
  }

  const Arguments& arguments_;
  Device& device_;
  ParallelFor& threads_;
  const Ceilings ceilings_;
  Report& report_;
  bool ok_ = true;
};

std::vector<ctl::Option> OptionTable(Arguments& arguments) {
  std::vector<ctl::Option> table = ModelOptionTable(arguments.bench);
  table.push_back(ctl::TextOption("rows", "LIST", "of a step (default 1,8,32)", &arguments.rows));
  table.push_back(ctl::IntOption("context", "N", "tokens before the step (default 4096)", 0,
                                 1 << 24, [&](int64_t value) { arguments.context = value; }));
  for (ctl::Option& option : MachineOptionTable(arguments.bench)) {
    table.push_back(std::move(option));
  }
  return table;
}

absl::Status Resolve(const ctl::ParsedArgs& parsed, Arguments& arguments) {
  if (parsed.positional.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("name an operation: ", absl::StrJoin(KernelNames(), ", ")));
  }
  arguments.names = absl::StrSplit(parsed.positional[0], ',');
  RETURN_IF_ERROR(ResolveMachine(arguments.bench));
  RETURN_IF_ERROR(ResolveModel(arguments.bench));
  ASSIGN_OR_RETURN(arguments.steps, ParseRows(arguments.rows));
  return absl::OkStatus();
}

}  // namespace

absl::Status RunKernel(const std::vector<std::string>& args, std::ostream& out) {
  Arguments arguments;
  const std::vector<ctl::Option> table = OptionTable(arguments);
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed,
                   ParseBenchArgs("kernel", args, table, arguments.bench, 1));
  if (parsed.help) {
    out << kUsage << "operations: " << absl::StrJoin(KernelNames(), ", ") << "\n\noptions:\n"
        << ctl::DescribeOptions(table);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Resolve(parsed, arguments));
  ParallelFor threads(arguments.bench.engine.threads);
  ASSIGN_OR_RETURN(const std::unique_ptr<Device> device, OpenDevice(arguments.bench.engine));
  ASSIGN_OR_RETURN(const Ceilings ceilings, KnowCeilings(arguments.bench, *device));
  Line about = About(arguments.bench, *device);
  AddModel(arguments.bench, about);
  AddCeilings(ceilings, about);
  Report report(out, std::move(about));
  KernelBench bench(arguments, *device, threads, ceilings, report);
  for (const std::string& name : arguments.names) {
    for (const StepRows& rows : arguments.steps) RETURN_IF_ERROR(bench.Measure(name, rows));
  }
  RETURN_IF_ERROR(Finish(arguments.bench, report));
  return bench.ok() ? absl::OkStatus() : absl::DataLossError("a check of the results failed");
}

}  // namespace skein::bench
