#include "gateway/routing/worker_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "common/base/status_macros.h"
#include "common/config/address.h"

namespace skein {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

absl::Status LineError(int line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

}  // namespace

absl::StatusOr<std::set<std::string>> ParseWorkerFile(absl::string_view text) {
  std::set<std::string> addresses;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const absl::StatusOr<HostPort> address = ParseHostPort(line);
    if (!address.ok()) return LineError(number, address.status().message());
    if (address->port == 0) return LineError(number, "port 0, expected the port of a worker");
    addresses.insert(std::string(line));
  }
  if (addresses.empty()) return absl::InvalidArgumentError("it names no worker");
  if (text.back() != '\n') {
    return LineError(number, "no newline at its end: the file may be half-written");
  }
  return addresses;
}

absl::StatusOr<std::string> ReadWorkerFile(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) return absl::NotFoundError(std::strerror(errno));
  std::string text(kMaxBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return absl::UnavailableError(std::strerror(errno));
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat("longer than ", kMaxBytes, " bytes"));
  }
  return text;
}

}  // namespace skein
