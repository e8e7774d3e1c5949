#include "tests/testing/documented_metrics.h"

#include <regex>

#include "tests/testing/golden.h"

namespace skein {

std::set<std::string> DocumentedMetrics(const std::string& prefix) {
  const std::string text = ReadFileOrDie(SourcePath("docs/operations.md"));
  const std::regex name("`(" + prefix + "[a-z0-9_]+)(\\{[a-z_,]*\\})?`");
  std::set<std::string> names;
  for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it) {
    names.insert((*it)[1]);
  }
  return names;
}

std::set<std::string> RegisteredMetrics(const MetricsRegistry& registry) {
  std::set<std::string> names;
  for (const auto& family : registry.registry()->Collect()) names.insert(family.name);
  return names;
}

}  // namespace skein
