#include "worker/registry/roots.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPathBytes = 4096;

std::string Quoted(absl::string_view path) {
  return absl::StrCat("path: \"", absl::Utf8SafeCHexEscape(path), "\"");
}

absl::Status CheckText(absl::string_view path) {
  if (path.empty() || path.size() > kMaxPathBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("path: ", path.size(), " bytes, expected 1 to ", kMaxPathBytes));
  }
  if (path.find('\0') != path.npos) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(path), " has a zero byte"));
  }
  const fs::path parts{std::string(path)};
  if (std::find(parts.begin(), parts.end(), "..") == parts.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(path), ", expected one without \"..\" below an allowed directory"));
}

// What is left of `path` below `root`, both canonical; nothing if it is not below.
std::optional<fs::path> Below(const fs::path& root, const fs::path& path) {
  const auto [end, rest] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  if (end != root.end() || rest == path.end()) return std::nullopt;
  fs::path below;
  for (auto part = rest; part != path.end(); ++part) below /= *part;
  return below;
}

}  // namespace

absl::StatusOr<FileRoots> FileRoots::Create(const std::vector<std::string>& roots,
                                            const Setting& setting) {
  std::vector<std::string> canonical;
  for (const std::string& root : roots) {
    std::error_code error;
    const fs::path path = fs::canonical(root, error);
    if (error || !fs::is_directory(path, error)) {
      return absl::NotFoundError(absl::StrCat(setting.field, ": ", root, ": no such directory"));
    }
    canonical.push_back(path.string());
  }
  return FileRoots(std::move(canonical), setting);
}

absl::StatusOr<FileRoots::File> FileRoots::Find(absl::string_view path) const {
  if (roots_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("path: this worker has no directory that files may come from (",
                     setting_.field, ", ", setting_.flag, ")"));
  }
  RETURN_IF_ERROR(CheckText(path));
  const fs::path wanted{std::string(path)};
  bool leads_out = wanted.is_absolute();
  for (const std::string& root : roots_) {
    std::error_code error;
    const fs::path full = fs::weakly_canonical(fs::path(root) / wanted, error);
    if (error) continue;
    const std::optional<fs::path> below = Below(root, full);
    if (below.has_value() && fs::exists(full, error)) return File{full.string(), below->string()};
    // A relative path leads out only by a link; an absolute one unless a root holds it.
    leads_out =
        wanted.is_absolute() ? leads_out && !below.has_value() : leads_out || !below.has_value();
  }
  if (leads_out) {
    return absl::PermissionDeniedError(
        absl::StrCat(Quoted(path), " is not in a directory that files may come from"));
  }
  return absl::NotFoundError(
      absl::StrCat(Quoted(path), ": no such file where files may come from"));
}

}  // namespace skein
