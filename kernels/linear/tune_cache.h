// What measurements chose, kept in a file between runs: names of problems and, for each, a line of
// text that says how to run it. Valid for one device with one version of its software.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace skein {

// Used by one thread.
class TuneCache {
 public:
  // `fingerprint` names device and versions in one line. Reads what an earlier run kept in
  // `directory`; a file that is damaged or of another fingerprint is left aside with a warning. An
  // empty directory means that nothing is kept.
  TuneCache(std::string directory, std::string fingerprint);

  std::optional<std::string> Find(const std::string& name) const;
  void Put(const std::string& name, std::string choice);

  // Writes the file if something was put since the last time. It is replaced whole: a reader sees
  // the old or the new one. PermissionDenied or Unavailable if that fails.
  absl::Status Save();

  // Where it is kept: one file for each fingerprint.
  std::string path() const;

 private:
  void Load();

  std::string directory_;
  std::string fingerprint_;
  std::map<std::string, std::string> choices_;
  bool changed_ = false;
};

}  // namespace skein
