#include "kernels/linear/tune_cache.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "common/base/log.h"

namespace skein {
namespace {

// The first line of a file. The number rises when choices are written in another way.
constexpr absl::string_view kHeader = "skein products 1";

// FNV-1a: the same in every process, which hashes of containers are not.
uint64_t Hash(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

std::string CheckLine(absl::string_view body) {
  return absl::StrFormat("check %016x\n", Hash(body));
}

// The lines of an intact file, without the last, which checks the others; else why it is not.
absl::Status ReadLines(const std::string& text, std::vector<std::string>& lines) {
  const size_t end = text.rfind("check ");
  if (end == std::string::npos || (end > 0 && text[end - 1] != '\n') ||
      text.substr(end) != CheckLine(absl::string_view(text).substr(0, end))) {
    return absl::DataLossError("damaged");
  }
  lines = absl::StrSplit(absl::string_view(text).substr(0, end), '\n');
  if (lines.size() < 2 || lines[0] != kHeader) return absl::DataLossError("of another version");
  return absl::OkStatus();
}

absl::Status WriteError(const std::string& path) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
  return errno == EACCES || errno == EROFS ? absl::PermissionDeniedError(message)
                                           : absl::UnavailableError(message);
}

}  // namespace

TuneCache::TuneCache(std::string directory, std::string fingerprint)
    : directory_(std::move(directory)), fingerprint_(std::move(fingerprint)) {
  if (!directory_.empty()) Load();
}

std::string TuneCache::path() const {
  return absl::StrFormat("%s/products-%016x.txt", directory_, Hash(fingerprint_));
}

void TuneCache::Load() {
  std::ifstream file(path(), std::ios::binary);
  if (!file) return;
  std::ostringstream text;
  text << file.rdbuf();
  std::vector<std::string> lines;
  absl::Status status = ReadLines(text.str(), lines);
  if (status.ok() && lines[1] != fingerprint_) {
    status = absl::FailedPreconditionError(absl::StrCat("of another device: ", lines[1]));
  }
  if (!status.ok()) {
    LogWarning("tuning file ignored",
               {{"path", path()}, {"reason", std::string(status.message())}});
    return;
  }
  for (size_t i = 2; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> choice =
        absl::StrSplit(lines[i], absl::MaxSplits('\t', 1));
    if (!choice.first.empty()) choices_.insert(choice);
  }
}

std::optional<std::string> TuneCache::Find(const std::string& name) const {
  const auto found = choices_.find(name);
  if (found == choices_.end()) return std::nullopt;
  return found->second;
}

void TuneCache::Put(const std::string& name, std::string choice) {
  choices_[name] = std::move(choice);
  changed_ = true;
}

absl::Status TuneCache::Save() {
  if (directory_.empty() || !changed_) return absl::OkStatus();
  std::error_code ignored;  // an unusable directory shows when the file is opened
  std::filesystem::create_directories(directory_, ignored);
  std::string body = absl::StrCat(kHeader, "\n", fingerprint_, "\n");
  for (const auto& [name, choice] : choices_) absl::StrAppend(&body, name, "\t", choice, "\n");
  const std::string temporary = absl::StrCat(path(), ".", getpid());
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << body << CheckLine(body);
  file.close();
  if (!file || std::rename(temporary.c_str(), path().c_str()) != 0) {
    const absl::Status status = WriteError(temporary);
    std::remove(temporary.c_str());
    return status;
  }
  changed_ = false;
  return absl::OkStatus();
}

}  // namespace skein
