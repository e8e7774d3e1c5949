// What is wrong with an adapter, collected so that a user learns all of it at once.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "worker/adapters/adapter_plan.h"

namespace skein {

// A name of a file as messages show it: printable, and not longer than a line.
std::string PrintableName(absl::string_view name);

class PlanProblems {
 public:
  void Add(std::string problem) { problems_.push_back(std::move(problem)); }
  // Something that is right, but that this program cannot do.
  void AddUnsupported(std::string problem);
  // An entry that belongs to nothing.
  void AddUnknown(absl::string_view name) { unknown_.emplace_back(name); }
  bool empty() const { return problems_.empty() && unknown_.empty(); }

  // OK, or all of them in one message: Unimplemented if nothing but missing support stands in the
  // way, else InvalidArgument.
  absl::Status status() const;

 private:
  std::vector<std::string> problems_, unknown_;
  size_t unsupported_ = 0;
};

// What the parts of a plan are made with.
struct PlanContext {
  const std::optional<PeftConfig>& peft;
  const AdapterOptions& options;
  const BaseTensors& base;
  PlanProblems& problems;
  std::vector<std::string>& warnings;
};

}  // namespace skein
