#include "common/base/process.h"

#include <fcntl.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(ProcessTest, APipeWithoutAReaderDoesNotEndIt) {
  const auto write_to_a_broken_pipe = [] {
    PrepareProcess();
    int ends[2];
    if (pipe(ends) != 0) _exit(1);
    close(ends[0]);
    _exit(write(ends[1], "x", 1) < 0 ? 0 : 2);
  };
  EXPECT_EXIT(write_to_a_broken_pipe(), testing::ExitedWithCode(0), "");
}

TEST(ProcessTest, AClosedLogDoesNotBecomeTheNextFile) {
  const auto open_with_closed_log = [] {
    close(STDIN_FILENO);
    close(STDERR_FILENO);
    PrepareProcess();
    _exit(open("/dev/null", O_RDONLY) > STDERR_FILENO && write(STDERR_FILENO, "x", 1) == 1 ? 0 : 1);
  };
  EXPECT_EXIT(open_with_closed_log(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace skein
