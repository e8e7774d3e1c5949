#include "common/base/process.h"

#include <csignal>

#include <fcntl.h>
#include <unistd.h>

namespace skein {

void PrepareProcess() {
  std::signal(SIGPIPE, SIG_IGN);
  for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; ++standard) {
    // The lowest that is free is the one that was asked for.
    if (fcntl(standard, F_GETFD) < 0) (void)open("/dev/null", O_RDWR);
  }
}

}  // namespace skein
