#include "tools/skein-bench/bench_options.h"

#include <fstream>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#include "common/base/status_macros.h"
#include "kernels/cpu/isa.h"
#include "skein_bench_commit.h"
#include "tools/skein-bench/ceilings.h"

namespace skein::bench {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();

absl::StatusOr<DType> ParseFormat(const std::string& name) {
  if (name == "bf16") return DType::kBF16;
  if (name == "fp16") return DType::kF16;
  return absl::InvalidArgumentError(absl::StrCat("--format \"", name, "\", expected fp16 or bf16"));
}

// Of the GPU, as its kernel module says it.
std::string DriverVersion() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  for (const absl::string_view word : absl::StrSplit(line, ' ')) {
    if (!word.empty() && absl::ascii_isdigit(word[0])) return std::string(word);
  }
  return "unknown";
}

}  // namespace

std::vector<ctl::Option> ModelOptionTable(BenchOptions& out) {
  return {
      ctl::TextOption("shape", "NAME", "the model; skein-eval make-model --help lists shapes",
                      &out.shape),
      ctl::TextOption("format", "TYPE", "of the weights: fp16 (default) or bf16", &out.format),
      ctl::TextOption("state", "TYPE", "of the WKV states: fp32 (default), or fp16 on CUDA",
                      &out.state),
      ctl::NumberOption("ffn-zeros", "X",
                        "rwkv7: share of zeros among a token's hidden units (default 0.85)", 0.5,
                        0.99, [&out](double value) { out.ffn_zeros = value; }),
      ctl::IntOption("layers", "N", "another number of layers", 1, 1000,
                     [&out](int64_t value) { out.layers = value; }),
      ctl::IntOption("seed", "N", "of weights and prompts (default 0)", 0, kMaxInt,
                     [&out](int64_t value) { out.engine.seed = static_cast<uint64_t>(value); }),
      ctl::SwitchOption("batch-invariant",
                        "on CUDA: rows do not depend on how many, up to 64, are beside them",
                        &out.engine.batch_invariant),
  };
}

std::vector<ctl::Option> MachineOptionTable(BenchOptions& out) {
  return {
      ctl::TextOption("backend", "NAME", "cuda, or cpu (default: cuda where there is a GPU)",
                      &out.engine.backend),
      ctl::IntOption("threads", "N", "of the host (default: one per core)", 1, 1024,
                     [&out](int64_t value) { out.engine.threads = static_cast<int>(value); }),
      ctl::TextOption("cache-dir", "DIR",
                      "on CUDA: where measured choices of kernels are kept (default: nowhere)",
                      &out.engine.cache_directory),
      ctl::SwitchOption("no-autotune", "on CUDA: likely kernels in place of measured ones",
                        &out.no_autotune),
      ctl::IntOption("runs", "N", "repetitions, of which the median counts (default 5)", 1, 1000,
                     [&out](int64_t value) { out.runs = value; }),
      ctl::NumberOption("bandwidth", "GB/S", "what the floors assume, instead of measuring it",
                        1e-3, 1e6,
                        [&out](double value) { out.ceilings.bytes_per_second = value * 1e9; }),
      ctl::NumberOption("flops", "TFLOP/S", "likewise", 1e-6, 1e6,
                        [&out](double value) { out.ceilings.flops_per_second = value * 1e12; }),
      ctl::TextOption("json", "FILE", "write the results there, too", &out.json),
  };
}

absl::StatusOr<ctl::ParsedArgs> ParseBenchArgs(const std::string& name,
                                               const std::vector<std::string>& args,
                                               const std::vector<ctl::Option>& table,
                                               BenchOptions& out, size_t max_positional) {
  out.command =
      absl::StrCat("skein-bench ", name, args.empty() ? "" : " ", absl::StrJoin(args, " "));
  ASSIGN_OR_RETURN(ctl::ParsedArgs parsed, ctl::ParseArgs(args, table));
  if (!parsed.help && parsed.positional.size() > max_positional) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", parsed.positional[max_positional], "\" is not an option; see --help"));
  }
  return parsed;
}

absl::Status ResolveModel(BenchOptions& options) {
  if (options.shape.empty()) return absl::InvalidArgumentError("--shape is needed; see --help");
  EngineOptions& engine = options.engine;
  ASSIGN_OR_RETURN(engine.shape, random_model::FindShape(options.shape));
  if (options.layers > 0) engine.shape.layers = options.layers;
  if (!engine.shape.hybrid) engine.shape.ffn_zeros = options.ffn_zeros;
  ASSIGN_OR_RETURN(engine.format, ParseFormat(options.format));
  if (options.state != "fp32" && options.state != "fp16") {
    return absl::InvalidArgumentError(
        absl::StrCat("--state \"", options.state, "\", expected fp32 or fp16"));
  }
  engine.state = options.state == "fp16" ? DType::kF16 : DType::kF32;
  if (engine.state == DType::kF16 && engine.backend == "cpu") {
    return absl::InvalidArgumentError("--state fp16: the CPU backend has fp32 alone");
  }
  return random_model::ValidateShape(engine.shape);
}

absl::Status ResolveMachine(BenchOptions& options) {
  options.engine.autotune = !options.no_autotune;
  std::string& backend = options.engine.backend;
  if (backend.empty()) backend = ProbeCuda().ok() ? "cuda" : "cpu";
  if (backend == "cpu") return absl::OkStatus();
  if (backend == "cuda") return ProbeCuda();
  return absl::InvalidArgumentError(
      absl::StrCat("--backend \"", backend, "\", expected cuda or cpu"));
}

absl::StatusOr<std::vector<int64_t>> ParseList(const std::string& name, const std::string& text) {
  std::vector<int64_t> numbers;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(part, &number) || number < 1 || number > kMaxInt) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, " \"", text, "\", expected numbers from 1 up, such as 1,8,32"));
    }
    numbers.push_back(number);
  }
  return numbers;
}

Line About(const BenchOptions& options, const Device& device) {
  const std::string date = absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone());
  const bool cpu = options.engine.backend == "cpu";
  return {{"machine",
           cpu ? absl::StrCat("CPU, ", device.name(), ", ", IsaName(ActiveIsa())) : device.name()},
          {"driver", cpu ? std::string("none") : DriverVersion()},
          {"commit", std::string(kCommit)},
          {"date", date},
          {"command", options.command}};
}

void AddModel(const BenchOptions& options, Line& about) {
  const EngineOptions& engine = options.engine;
  about.push_back({"shape", engine.shape.name});
  about.push_back({"layers", engine.shape.layers});
  about.push_back({"weights", options.format});
  about.push_back({"states", options.state});
  if (engine.batch_invariant) about.push_back({"batch-invariant", true});
}

absl::StatusOr<Ceilings> KnowCeilings(const BenchOptions& options, Device& device) {
  Ceilings known = options.ceilings;
  if (known.bytes_per_second > 0 && known.flops_per_second > 0) return known;
  ASSIGN_OR_RETURN(const MeasuredCeilings measured, MeasureCeilings(options.engine.format, device));
  if (known.bytes_per_second <= 0) known.bytes_per_second = measured.For().bytes_per_second;
  if (known.flops_per_second <= 0) known.flops_per_second = measured.For().flops_per_second;
  return known;
}

void AddCeilings(const Ceilings& ceilings, Line& about) {
  about.push_back({"GB/s", ceilings.bytes_per_second / 1e9, 1});
  about.push_back({"TFLOP/s", ceilings.flops_per_second / 1e12, 2});
}

absl::Status Finish(const BenchOptions& options, const Report& report) {
  return options.json.empty() ? absl::OkStatus() : report.WriteJson(options.json);
}

}  // namespace skein::bench
