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

// Looks at the files every `poll`: at what their names lead to, so that a swapped symbolic link, as
// Kubernetes makes them when a secret changes, is a change too. A file may be absent.
class FileWatcher {
 public:
  // `on_change` runs on the watcher's own thread: once soon after the start, in case something
  // changed before that, then after every change of any of `paths`.
  FileWatcher(std::vector<std::string> paths, absl::Duration poll, std::function<void()> on_change);
  // Waits for a call that runs; none comes afterwards.
  ~FileWatcher();
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;

 private:
  void Run();
  std::string Stamps() const;

  const std::vector<std::string> paths_;
  const absl::Duration poll_;
  const std::function<void()> on_change_;

  std::mutex mu_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mu_
  std::thread thread_;
};

}  // namespace skein
