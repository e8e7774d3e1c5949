// The directories that files named by clients may come from.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

// Immutable, thread-safe. Whoever may write into a root is trusted: a link that is swapped between
// the check and the reading of a file is not noticed.
class RegistryRoots {
 public:
  struct File {
    std::string path;   // to be opened; no link is left in it
    std::string shown;  // below its root, for clients
  };

  RegistryRoots() = default;
  // NotFound for a root that is no directory.
  static absl::StatusOr<RegistryRoots> Create(const std::vector<std::string>& roots);

  // `path` is relative to a root, the first that has it, or absolute inside one. Errors tell
  // nothing of what lies outside: NotFound where there is no such file; PermissionDenied for a path
  // or link that leads out, whether or not something is there; InvalidArgument for one with "..",
  // empty or too long; FailedPrecondition without any root.
  absl::StatusOr<File> Find(absl::string_view path) const;

 private:
  explicit RegistryRoots(std::vector<std::string> roots) : roots_(std::move(roots)) {}

  std::vector<std::string> roots_;  // canonical
};

}  // namespace skein
