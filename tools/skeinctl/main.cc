// skeinctl: client and load generator. See `skeinctl --help`.
#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

#include "tools/skeinctl/commands.h"

int main(int argc, char** argv) {
  skein::ctl::Terminal terminal{std::cin, std::cout, std::cerr,
                                isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0};
  return skein::ctl::RunSkeinctl({argv + 1, argv + argc}, terminal);
}
