// skein-eval: evaluates and makes models without a server. See `skein-eval --help`.
#include <iostream>

#include "tools/skein-eval/commands.h"

int main(int argc, char** argv) {
  return skein::eval::RunSkeinEval({argv + 1, argv + argc}, std::cout, std::cerr);
}
