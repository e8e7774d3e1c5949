#include "common/base/host_memory.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include "gtest/gtest.h"

namespace skein {
namespace {

namespace fs = std::filesystem;

class HostMemoryTest : public ::testing::Test {
 protected:
  HostMemoryTest() : folder_(fs::path(testing::TempDir()) / ("memory" + std::to_string(getpid()))) {
    Write("proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:    4000 kB\n");
    fs::create_directories(folder_ / "cgroup");
  }
  ~HostMemoryTest() override { fs::remove_all(folder_); }
  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  int64_t Available() { return AvailableHostBytes(folder_ / "proc", folder_ / "cgroup"); }

  const fs::path folder_;
};

TEST_F(HostMemoryTest, WithoutALimitItIsWhatTheKernelSays) {
  EXPECT_EQ(Available(), 4000 * 1024);
  Write("cgroup/memory.max", "max\n");
  Write("cgroup/memory.current", "1000\n");
  EXPECT_EQ(Available(), 4000 * 1024);
  EXPECT_GT(AvailableHostBytes(), 0);
}

TEST_F(HostMemoryTest, EveryGroupAboveLimits) {
  Write("proc/self/cgroup", "4:memory:/old\n0::/pods/one\n");
  Write("cgroup/pods/one/memory.max", "3000000\n");
  Write("cgroup/pods/one/memory.current", "2500000\n");
  Write("cgroup/pods/one/memory.stat", "anon 5\ninactive_file 400000\nactive_file 100000\n");
  EXPECT_EQ(Available(), 1000000);  // cached files give way
  Write("cgroup/pods/memory.max", "9000\n");
  Write("cgroup/pods/memory.current", "2000\n");
  EXPECT_EQ(Available(), 7000);
  Write("cgroup/pods/memory.current", "12000\n");
  EXPECT_EQ(Available(), 0);
}

TEST_F(HostMemoryTest, NothingIsKnownWithoutTheFile) {
  fs::remove(folder_ / "proc/meminfo");
  EXPECT_EQ(Available(), 0);
}

}  // namespace
}  // namespace skein
