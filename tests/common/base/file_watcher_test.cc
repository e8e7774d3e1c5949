#include "common/base/file_watcher.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

namespace fs = std::filesystem;

class FileWatcherTest : public testing::Test {
 protected:
  FileWatcherTest() { fs::create_directories(folder_); }
  ~FileWatcherTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  // True if a change is told of soon.
  bool Told(int count) {
    for (int i = 0; i < 500 && changes_ < count; ++i) absl::SleepFor(absl::Milliseconds(10));
    return changes_ == count;
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / absl::StrCat("skein-watcher-", getpid());
  const std::vector<std::string> paths_ = {folder_ / "a", folder_ / "b"};
  std::atomic<int> changes_{0};
};

TEST_F(FileWatcherTest, TellsOfEveryChange) {
  Write("a", "1");
  const FileWatcher watcher(paths_, StampFiles(paths_), absl::Milliseconds(5), [&] { ++changes_; });
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(changes_, 0);
  fs::rename(folder_ / "a", folder_ / "c");
  EXPECT_TRUE(Told(1));
  fs::rename(folder_ / "c", folder_ / "b");
  EXPECT_TRUE(Told(2));
  fs::create_symlink("b", folder_ / "a");
  EXPECT_TRUE(Told(3));
}

TEST_F(FileWatcherTest, TellsOfWhatChangedBeforeItStarted) {
  Write("a", "1");
  const std::string stamps = StampFiles(paths_);
  Write("a", "12");
  const FileWatcher watcher(paths_, stamps, absl::Milliseconds(5), [&] { ++changes_; });
  EXPECT_TRUE(Told(1));
}

TEST_F(FileWatcherTest, EndsWithoutWaitingForItsNextLook) {
  const absl::Time start = absl::Now();
  {
    const FileWatcher watcher(paths_, "", absl::Hours(1), [] {});
  }
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
}

}  // namespace
}  // namespace skein
