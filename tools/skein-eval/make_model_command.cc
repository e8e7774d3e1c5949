// skein-eval make-model.
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "tools/skein-eval/commands.h"
#include "tools/skein-eval/make_model.h"
#include "tools/skeinctl/options.h"

namespace skein::eval {
namespace {

constexpr char kUsage[] =
    "usage: skein-eval make-model --shape NAME --out DIR [OPTIONS]\n\n"
    "Writes a model folder with random weights and a made-up vocabulary, for load tests and\n"
    "benchmarks: as large and as fast as the real model, and talking nonsense. The same options\n"
    "give the same files.\n\n";

struct Arguments {
  std::string shape;
  std::string dtype = "bf16";
  int64_t layers = 0;
  int64_t vocab = 0;
  double ffn_zeros = 0.5;
  MakeModelOptions options;
};

std::vector<ctl::Option> OptionTable(Arguments& arguments) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  return {
      ctl::TextOption("shape", "NAME", "one of the shapes below", &arguments.shape),
      ctl::TextOption("out", "DIR", "the folder to write; new or empty", &arguments.options.folder),
      ctl::TextOption("dtype", "TYPE", "bf16, fp16 or fp32 (default bf16)", &arguments.dtype),
      ctl::IntOption("layers", "N", "another number of layers", 1, kMax,
                     [&](int64_t value) { arguments.layers = value; }),
      ctl::IntOption("vocab", "N", "another size of the vocabulary", 1, kMax,
                     [&](int64_t value) { arguments.vocab = value; }),
      ctl::NumberOption("ffn-zeros", "X",
                        "rwkv7: share of zeros among a token's hidden units (default 0.5; trained "
                        "models have 0.85)",
                        0.5, 0.99, [&](double value) { arguments.ffn_zeros = value; }),
      ctl::IntOption("seed", "N", "of the random weights (default 0)", 0, kMax,
                     [&](int64_t value) { arguments.options.seed = static_cast<uint64_t>(value); }),
  };
}

absl::StatusOr<DType> ParseDtypeName(const std::string& name) {
  if (name == "bf16") return DType::kBF16;
  if (name == "fp16") return DType::kF16;
  if (name == "fp32") return DType::kF32;
  return absl::InvalidArgumentError(
      absl::StrCat("--dtype \"", name, "\", expected bf16, fp16 or fp32"));
}

absl::Status Resolve(Arguments& arguments) {
  if (arguments.shape.empty() || arguments.options.folder.empty()) {
    return absl::InvalidArgumentError("--shape and --out are needed; see --help");
  }
  MakeModelOptions& options = arguments.options;
  ASSIGN_OR_RETURN(options.shape, random_model::FindShape(arguments.shape));
  ASSIGN_OR_RETURN(options.dtype, ParseDtypeName(arguments.dtype));
  if (arguments.layers > 0) options.shape.layers = arguments.layers;
  if (arguments.vocab > 0) options.shape.vocab = arguments.vocab;
  options.shape.ffn_zeros = arguments.ffn_zeros;
  return random_model::ValidateShape(options.shape);
}

}  // namespace

absl::Status RunMakeModel(const std::vector<std::string>& args, std::ostream& out) {
  Arguments arguments;
  const std::vector<ctl::Option> table = OptionTable(arguments);
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed, ctl::ParseArgs(args, table));
  if (parsed.help) {
    out << kUsage << "options:\n"
        << ctl::DescribeOptions(table) << "\nshapes:\n"
        << random_model::DescribeShapes();
    return absl::OkStatus();
  }
  if (!parsed.positional.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", parsed.positional.front(), "\" is not an option; see --help"));
  }
  RETURN_IF_ERROR(Resolve(arguments));
  constexpr int64_t kStepBytes = 500'000'000;
  int64_t written = 0;
  arguments.options.progress = [&](int64_t done, int64_t total) {
    if (done / kStepBytes > written / kStepBytes && done < total) {
      out << absl::StrFormat("%.1f of %.1f GB\n", static_cast<double>(done) / 1e9,
                             static_cast<double>(total) / 1e9);
      out.flush();
    }
    written = done;
  };
  RETURN_IF_ERROR(MakeModel(arguments.options));
  out << absl::StrFormat("wrote %s: %d parameters, %.2f GB\n", arguments.options.folder,
                         written / DTypeBytes(arguments.options.dtype),
                         static_cast<double>(written) / 1e9);
  return absl::OkStatus();
}

}  // namespace skein::eval
