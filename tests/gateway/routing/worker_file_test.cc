#include "gateway/routing/worker_file.h"

#include <cstdio>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(WorkerFileTest, HasOneAddressPerLine) {
  const auto addresses = ParseWorkerFile("# ours\nb:2\n\n  a:1  # the first\r\n[::1]:3\nb:2\n");
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  EXPECT_THAT(*addresses, ElementsAre("[::1]:3", "a:1", "b:2"));
}

TEST(WorkerFileTest, RefusesWhatIsNoList) {
  struct Case {
    const char* text;
    const char* error;
  };
  for (const Case& c : {Case{"", "names no worker"}, Case{"# none\n\n", "names no worker"},
                        Case{"a:1\nb\n", "line 2: \"b\" is not an address"},
                        Case{"a:1\nb:2", "line 2: no newline"}, Case{"a:0\n", "line 1: port 0"},
                        Case{"a:1 b:2\n", "line 1"}, Case{"a:99999\n", "line 1"}}) {
    const auto addresses = ParseWorkerFile(c.text);
    EXPECT_TRUE(absl::IsInvalidArgument(addresses.status())) << c.text;
    EXPECT_THAT(std::string(addresses.status().message()), HasSubstr(c.error));
  }
}

TEST(WorkerFileTest, ReadsWholeFilesUpToALimit) {
  const std::string path = testing::TempDir() + "worker_file_test";
  std::ofstream(path) << "a:1\n";
  EXPECT_EQ(ReadWorkerFile(path).value(), "a:1\n");
  std::ofstream(path) << std::string((1 << 20) + 1, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(ReadWorkerFile(path).status()));
  std::remove(path.c_str());
  EXPECT_TRUE(absl::IsNotFound(ReadWorkerFile(path).status()));
  EXPECT_FALSE(ReadWorkerFile(testing::TempDir()).ok());
}

}  // namespace
}  // namespace skein
