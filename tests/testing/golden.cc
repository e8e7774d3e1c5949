#include "tests/testing/golden.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace skein {
namespace {

std::string SourceDir() {
  const char* dir = std::getenv("SKEIN_SOURCE_DIR");
  return dir != nullptr ? dir : SKEIN_SOURCE_DIR;
}

std::string SharedDir() { return SourceDir() + "/../shared"; }

std::optional<std::string> IfExists(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) return path;
  return std::nullopt;
}

}  // namespace

std::optional<std::string> GoldenPath(const std::string& name) {
  if (auto path = IfExists(SourcePath("tests/golden/" + name))) return path;
  const char* dir = std::getenv("SKEIN_GOLDEN_DIR");
  return IfExists((dir != nullptr ? std::string(dir) : SharedDir() + "/golden") + "/" + name);
}

std::optional<std::string> SharedDataPath(const std::string& name) {
  return IfExists(SharedDir() + "/data/" + name);
}

std::string SourcePath(const std::string& name) { return SourceDir() + "/" + name; }

std::string ReadFileOrDie(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || !text) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::abort();
  }
  return std::move(text).str();
}

}  // namespace skein
