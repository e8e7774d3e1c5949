// The sub-commands of skein-eval, which works on model files without a server.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace skein::eval {

// Writes results to `out`. InvalidArgument if `args` are wrong; what --help asks for is not an
// error.
absl::Status RunLogits(const std::vector<std::string>& args, std::ostream& out);
absl::Status RunPerplexity(const std::vector<std::string>& args, std::ostream& out);
absl::Status RunCompare(const std::vector<std::string>& args, std::ostream& out);
absl::Status RunMakeModel(const std::vector<std::string>& args, std::ostream& out);

// Runs the command that `args` name. Returns the exit status: 0 fine, 1 failed, 2 used wrongly.
int RunSkeinEval(const std::vector<std::string>& args, std::ostream& out, std::ostream& err);

}  // namespace skein::eval
