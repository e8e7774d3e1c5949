#include "common/base/file_watcher.h"

#include <utility>

#include <pthread.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"

namespace skein {
namespace {

// Differs whenever the file's contents may.
std::string StampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return "absent";
  return absl::StrCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec,
                      " ", info.st_mtim.tv_nsec, " ", info.st_ctim.tv_sec, " ",
                      info.st_ctim.tv_nsec);
}

}  // namespace

std::string StampFiles(const std::vector<std::string>& paths) {
  std::string stamps;
  for (const std::string& path : paths) absl::StrAppend(&stamps, StampOf(path), "\n");
  return stamps;
}

FileWatcher::FileWatcher(std::vector<std::string> paths, std::string seen, absl::Duration poll,
                         std::function<void()> on_change)
    : paths_(std::move(paths)),
      poll_(poll),
      on_change_(std::move(on_change)),
      seen_(std::move(seen)) {
  thread_ = std::thread([this] { Run(); });
}

FileWatcher::~FileWatcher() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void FileWatcher::Run() {
  pthread_setname_np(pthread_self(), "skein-files");
  std::unique_lock<std::mutex> lock(mu_);
  while (!stop_.wait_for(lock, absl::ToChronoNanoseconds(poll_), [this] { return stopping_; })) {
    lock.unlock();
    // Before the call: a change while it runs is found the next time.
    std::string stamps = StampFiles(paths_);
    if (stamps != seen_) on_change_();
    seen_ = std::move(stamps);
    lock.lock();
  }
}

}  // namespace skein
