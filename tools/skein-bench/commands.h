// The sub-commands of skein-bench, which measures the engine without files and without a server.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace skein::bench {

// Writes results to `out`. InvalidArgument if `args` are wrong, DataLoss if a result failed its
// check; what --help asks for is not an error.
absl::Status RunDecode(const std::vector<std::string>& args, std::ostream& out);
absl::Status RunPrefill(const std::vector<std::string>& args, std::ostream& out);
absl::Status RunMixture(const std::vector<std::string>& args, std::ostream& out);
absl::Status RunKernel(const std::vector<std::string>& args, std::ostream& out);
absl::Status RunCheck(const std::vector<std::string>& args, std::ostream& out);
absl::Status RunRoofline(const std::vector<std::string>& args, std::ostream& out);

// Runs the command that `args` name. Returns the exit status: 0 fine, 1 failed, 2 used wrongly.
int RunSkeinBench(const std::vector<std::string>& args, std::ostream& out, std::ostream& err);

}  // namespace skein::bench
