// skein-bench roofline.
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "common/base/status_macros.h"
#include "tools/skein-bench/bench_options.h"
#include "tools/skein-bench/ceilings.h"
#include "tools/skein-bench/commands.h"

namespace skein::bench {
namespace {

constexpr char kUsage[] =
    "usage: skein-bench roofline [OPTIONS]\n\n"
    "Measures reading and copying of memory, and a large product in the type of the weights.\n\n";

}  // namespace

absl::Status RunRoofline(const std::vector<std::string>& args, std::ostream& out) {
  BenchOptions options;
  const std::vector<ctl::Option> table = MachineOptionTable(options);
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed, ParseBenchArgs("roofline", args, table, options));
  if (parsed.help) {
    out << kUsage << "options:\n" << ctl::DescribeOptions(table);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(ResolveMachine(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<Device> device, OpenDevice(options.engine));
  ASSIGN_OR_RETURN(const MeasuredCeilings measured,
                   MeasureCeilings(options.engine.format, *device));
  Report report(out, About(options, *device));
  report.Add({{"read GB/s", measured.read_bytes_per_second / 1e9, 1},
              {"copy GB/s", measured.copy_bytes_per_second / 1e9, 1},
              {"TFLOP/s", measured.flops_per_second / 1e12, 3},
              {"rows", measured.product_rows},
              {"width", measured.product_width},
              {"product", measured.product_ok}});
  RETURN_IF_ERROR(Finish(options, report));
  return measured.product_ok ? absl::OkStatus()
                             : absl::DataLossError("the product has wrong results");
}

}  // namespace skein::bench
