// Files that lie in memory, for readers that want a path.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace skein::fuzz {

// One regular file whose content is replaced again and again.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  void Write(absl::string_view content) const;
  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

}  // namespace skein::fuzz
