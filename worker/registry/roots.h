// The directories that files named by clients may come from.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

// Immutable, thread-safe. Whoever may write into a root is trusted: a link that is swapped between
// the check and the reading of a file is not noticed.
class FileRoots {
 public:
  struct File {
    std::string path;   // to be opened; no link is left in it
    std::string shown;  // below its root, for clients
  };

  // What an operator sets to give them, for messages.
  struct Setting {
    const char* field = "";
    const char* flag = "";
  };

  FileRoots() = default;  // none
  // NotFound for a root that is no directory.
  static absl::StatusOr<FileRoots> Create(const std::vector<std::string>& roots,
                                          const Setting& setting);
  bool empty() const { return roots_.empty(); }

  // `path` is relative to a root, the first that has it, or absolute inside one. Errors tell
  // nothing of what lies outside: NotFound where there is no such file; PermissionDenied for a path
  // or link that leads out, whether or not something is there; InvalidArgument for one with "..",
  // empty or too long; FailedPrecondition without any root.
  absl::StatusOr<File> Find(absl::string_view path) const;

 private:
  FileRoots(std::vector<std::string> roots, const Setting& setting)
      : roots_(std::move(roots)), setting_(setting) {}

  std::vector<std::string> roots_;  // canonical
  Setting setting_;
};

}  // namespace skein
