// The options that all commands share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/device.h"
#include "tools/skein-bench/engine.h"
#include "tools/skein-bench/model_cost.h"
#include "tools/skein-bench/report.h"
#include "tools/skeinctl/options.h"

namespace skein::bench {

struct BenchOptions {
  EngineOptions engine;  // its backend is empty until ResolveMachine, unless it was given
  std::string json;      // path; empty: none is written
  // Instead of measured ones; 0: measure.
  Ceilings ceilings;
  int64_t runs = 5;
  std::string command;  // as it was typed

  // As typed, until Resolve.
  std::string shape, format = "fp16", state = "fp32";
  int64_t layers = 0;
  double ffn_zeros = 0.85;
  bool no_autotune = false;
};

// --shape, --format, --ffn-zeros, --layers, --seed and what belongs to them.
std::vector<ctl::Option> ModelOptionTable(BenchOptions& out);
// --backend, --threads, --cache-dir, --no-autotune, --json, --runs, --bandwidth, --flops.
std::vector<ctl::Option> MachineOptionTable(BenchOptions& out);

// Parses `args` by `table`. `name` is the command's. InvalidArgument for more than `max_positional`
// arguments that are no options.
absl::StatusOr<ctl::ParsedArgs> ParseBenchArgs(const std::string& name,
                                               const std::vector<std::string>& args,
                                               const std::vector<ctl::Option>& table,
                                               BenchOptions& out, size_t max_positional = 0);
// Chooses the backend; calls follow: ResolveMachine ResolveModel. InvalidArgument if a name is not
// known, Unavailable if there is no GPU where one is asked for.
absl::Status ResolveMachine(BenchOptions& options);
// InvalidArgument if a name is not known, or does not fit the backend.
absl::Status ResolveModel(BenchOptions& options);

// A comma-separated list of numbers from 1 up, such as "1,8,32".
absl::StatusOr<std::vector<int64_t>> ParseList(const std::string& name, const std::string& text);

// Machine, build, date and command: what stands above each table.
Line About(const BenchOptions& options, const Device& device);

// Adds the model to what About says.
void AddModel(const BenchOptions& options, Line& about);

// What the options say, and what they leave open measured.
absl::StatusOr<Ceilings> KnowCeilings(const BenchOptions& options, Device& device);
void AddCeilings(const Ceilings& ceilings, Line& about);

// The report's JSON where --json asks for it.
absl::Status Finish(const BenchOptions& options, const Report& report);

}  // namespace skein::bench
