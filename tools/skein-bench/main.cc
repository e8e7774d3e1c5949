// skein-bench: measures the engine on random models of real shapes. See `skein-bench --help`.
#include <iostream>

#include "tools/skein-bench/commands.h"

int main(int argc, char** argv) {
  return skein::bench::RunSkeinBench({argv + 1, argv + argc}, std::cout, std::cerr);
}
