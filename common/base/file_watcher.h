// Tells when files change.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace skein {

// What the files look like from outside: differs whenever the contents of one of them may. Looks at
// what their names lead to, so a swapped symbolic link, as Kubernetes makes them when a secret
// changes, is a change too. A file may be absent.
std::string StampFiles(const std::vector<std::string>& paths);

// Stamps the files every `poll`.
class FileWatcher {
 public:
  // `on_change` runs on the watcher's own thread whenever the files' stamps are no longer what they
  // were. `seen` is what StampFiles said before they were read first.
  FileWatcher(std::vector<std::string> paths, std::string seen, absl::Duration poll,
              std::function<void()> on_change);
  // Waits for a call that runs; none comes afterwards.
  ~FileWatcher();
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;

 private:
  void Run();

  const std::vector<std::string> paths_;
  const absl::Duration poll_;
  const std::function<void()> on_change_;

  std::string seen_;  // used by the thread alone
  std::mutex mu_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mu_
  std::thread thread_;
};

}  // namespace skein
