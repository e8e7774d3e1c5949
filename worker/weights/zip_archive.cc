#include "worker/weights/zip_archive.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/weights/byte_reader.h"

namespace skein {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;      // "PK\3\4"
constexpr uint32_t kCentralSignature = 0x02014b50;    // "PK\1\2"
constexpr uint32_t kEndSignature = 0x06054b50;        // "PK\5\6"
constexpr uint32_t kEnd64Signature = 0x06064b50;      // "PK\6\6"
constexpr uint32_t kLocator64Signature = 0x07064b50;  // "PK\6\7"
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kCentralBytes = 46;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kLocator64Bytes = 20;
constexpr uint16_t kExtra64Id = 0x0001;
constexpr uint16_t kEncryptedFlag = 0x0001;
constexpr uint16_t kSaturated16 = 0xffff;
constexpr uint32_t kSaturated32 = 0xffffffff;
constexpr uint64_t kMaxEntries = 100'000;

struct Directory {
  uint64_t entries = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t limit = 0;  // first byte after the directory's space: where the end records begin
};

struct CentralEntry {
  std::string name;
  uint64_t stored_bytes = 0;
  uint64_t content_bytes = 0;
  uint64_t local_offset = 0;
};

std::string Quoted(absl::string_view name) {
  return absl::StrCat("zip entry \"", absl::Utf8SafeCEscape(name), "\"");
}

// The end record is followed by a comment of at most 65535 bytes that reaches to the end of the
// file.
absl::StatusOr<uint64_t> FindEndRecord(const ByteReader& file) {
  if (file.size() >= kEndBytes) {
    const uint64_t last = file.size() - kEndBytes;
    const uint64_t first = last > kSaturated16 ? last - kSaturated16 : 0;
    for (uint64_t offset = last + 1; offset-- > first;) {
      if (file.U32(offset) == kEndSignature &&
          offset + kEndBytes + file.U16(offset + 20) == file.size()) {
        return offset;
      }
    }
  }
  return absl::DataLossError(absl::StrCat("no zip end record in the last bytes of ", file.size(),
                                          "; not a zip archive, or cut off"));
}

absl::StatusOr<Directory> ReadEnd64(const ByteReader& file, uint64_t end) {
  if (end < kLocator64Bytes || file.U32(end - kLocator64Bytes) != kLocator64Signature) {
    return absl::DataLossError(absl::StrCat("no zip64 locator before byte ", end));
  }
  const uint64_t limit = end - kLocator64Bytes;
  const uint64_t offset = file.U64(limit + 8);
  if (offset > limit || kEnd64Bytes > limit - offset || file.U32(offset) != kEnd64Signature) {
    return absl::DataLossError(absl::StrCat("no zip64 end record at byte ", offset));
  }
  return Directory{file.U64(offset + 32), file.U64(offset + 48), file.U64(offset + 40), offset};
}

absl::StatusOr<Directory> FindDirectory(const ByteReader& file) {
  ASSIGN_OR_RETURN(const uint64_t end, FindEndRecord(file));
  Directory directory{file.U16(end + 10), file.U32(end + 16), file.U32(end + 12), end};
  if (directory.entries == kSaturated16 || directory.offset == kSaturated32 ||
      directory.bytes == kSaturated32) {
    ASSIGN_OR_RETURN(directory, ReadEnd64(file, end));
  } else if (file.U16(end + 4) != 0 || file.U16(end + 8) != directory.entries) {
    return absl::UnimplementedError("zip archive in several parts");
  }
  if (directory.offset > directory.limit || directory.bytes > directory.limit - directory.offset) {
    return absl::DataLossError(absl::StrCat("zip directory of ", directory.bytes, " bytes at byte ",
                                            directory.offset, " reaches beyond byte ",
                                            directory.limit));
  }
  if (directory.entries > kMaxEntries) {
    return absl::DataLossError(absl::StrCat("zip directory has ", directory.entries,
                                            " entries, expected at most ", kMaxEntries));
  }
  return directory;
}

// Replaces the fields that are saturated by the values of the zip64 extra field, in the order that
// the format fixes.
absl::Status ApplyExtra64(const ByteReader& extra, CentralEntry& entry) {
  uint64_t* const fields[] = {&entry.content_bytes, &entry.stored_bytes, &entry.local_offset};
  const auto saturated = [](const uint64_t* field) { return *field == kSaturated32; };
  if (std::none_of(std::begin(fields), std::end(fields), saturated)) return absl::OkStatus();
  for (uint64_t at = 0; extra.Has(at, 4);) {
    const uint16_t id = extra.U16(at);
    const uint16_t bytes = extra.U16(at + 2);
    at += 4;
    if (!extra.Has(at, bytes)) break;
    if (id == kExtra64Id) {
      const ByteReader values(extra.Slice(at, bytes));
      uint64_t next = 0;
      for (uint64_t* field : fields) {
        if (!saturated(field)) continue;
        if (!values.Has(next, 8)) {
          return absl::DataLossError(absl::StrCat(Quoted(entry.name), ": zip64 field too short"));
        }
        *field = values.U64(next);
        next += 8;
      }
      return absl::OkStatus();
    }
    at += bytes;
  }
  return absl::DataLossError(absl::StrCat(Quoted(entry.name), ": zip64 field is missing"));
}

// The entry at `offset`, which is moved behind it.
absl::StatusOr<CentralEntry> ReadCentral(const ByteReader& directory, uint64_t base,
                                         uint64_t& offset) {
  if (!directory.Has(offset, kCentralBytes) || directory.U32(offset) != kCentralSignature) {
    return absl::DataLossError(absl::StrCat("no zip directory entry at byte ", base + offset));
  }
  const uint64_t name_bytes = directory.U16(offset + 28);
  const uint64_t extra_bytes = directory.U16(offset + 30);
  const uint64_t total = kCentralBytes + name_bytes + extra_bytes + directory.U16(offset + 32);
  if (!directory.Has(offset, total)) {
    return absl::DataLossError(
        absl::StrCat("zip directory entry at byte ", base + offset, " is cut off"));
  }
  CentralEntry entry{std::string(directory.Text(offset + kCentralBytes, name_bytes)),
                     directory.U32(offset + 20), directory.U32(offset + 24),
                     directory.U32(offset + 42)};
  if ((directory.U16(offset + 8) & kEncryptedFlag) != 0) {
    return absl::UnimplementedError(absl::StrCat(Quoted(entry.name), " is encrypted"));
  }
  const uint16_t method = directory.U16(offset + 10);
  if (method != 0) {
    return absl::UnimplementedError(
        absl::StrCat(Quoted(entry.name), " is compressed (method ", method, "), expected stored"));
  }
  RETURN_IF_ERROR(ApplyExtra64(
      ByteReader(directory.Slice(offset + kCentralBytes + name_bytes, extra_bytes)), entry));
  offset += total;
  return entry;
}

// The entry's content: `body` is what precedes the directory. The sizes in the local header may be
// left empty, but its name and extra field say where the content begins.
absl::StatusOr<std::span<const std::byte>> FindContent(const ByteReader& body,
                                                       const CentralEntry& entry) {
  const uint64_t at = entry.local_offset;
  if (!body.Has(at, kLocalBytes) || body.U32(at) != kLocalSignature) {
    return absl::DataLossError(absl::StrCat(Quoted(entry.name), ": no local header at byte ", at));
  }
  const uint64_t name_bytes = body.U16(at + 26);
  const uint64_t header_bytes = kLocalBytes + name_bytes + body.U16(at + 28);
  if (!body.Has(at, header_bytes) || body.Text(at + kLocalBytes, name_bytes) != entry.name) {
    return absl::DataLossError(
        absl::StrCat(Quoted(entry.name), ": local header at byte ", at, " has another name"));
  }
  if (body.U16(at + 8) != 0 || entry.stored_bytes != entry.content_bytes) {
    return absl::DataLossError(absl::StrCat(Quoted(entry.name), ": stored as ", entry.stored_bytes,
                                            " bytes, expected ", entry.content_bytes));
  }
  if (!body.Has(at + header_bytes, entry.content_bytes)) {
    return absl::DataLossError(absl::StrCat(Quoted(entry.name), ": ", entry.content_bytes,
                                            " bytes at byte ", at + header_bytes,
                                            " reach beyond byte ", body.size()));
  }
  return body.Slice(at + header_bytes, entry.content_bytes);
}

absl::Status CheckNoOverlap(
    const absl::btree_map<std::string, std::span<const std::byte>>& entries) {
  std::vector<std::pair<std::span<const std::byte>, absl::string_view>> contents;
  for (const auto& [name, content] : entries) {
    if (!content.empty()) contents.emplace_back(content, name);
  }
  std::sort(contents.begin(), contents.end(),
            [](const auto& a, const auto& b) { return a.first.data() < b.first.data(); });
  for (size_t i = 1; i < contents.size(); ++i) {
    if (contents[i].first.data() < contents[i - 1].first.data() + contents[i - 1].first.size()) {
      return absl::DataLossError(
          absl::StrCat(Quoted(contents[i].second), " overlaps ", Quoted(contents[i - 1].second)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ZipArchive> ZipArchive::Open(std::span<const std::byte> file) {
  ASSIGN_OR_RETURN(const Directory directory, FindDirectory(ByteReader(file)));
  const ByteReader body(file.subspan(0, directory.offset));
  const ByteReader records(file.subspan(directory.offset, directory.bytes));
  ZipArchive archive;
  uint64_t offset = 0;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    ASSIGN_OR_RETURN(const CentralEntry entry, ReadCentral(records, directory.offset, offset));
    ASSIGN_OR_RETURN(const std::span<const std::byte> content, FindContent(body, entry));
    if (!archive.entries_.emplace(entry.name, content).second) {
      return absl::DataLossError(absl::StrCat(Quoted(entry.name), " appears twice"));
    }
  }
  if (offset != directory.bytes) {
    return absl::DataLossError(absl::StrCat("zip directory has ", directory.bytes - offset,
                                            " bytes after its last entry, at byte ",
                                            directory.offset + offset));
  }
  RETURN_IF_ERROR(CheckNoOverlap(archive.entries_));
  return archive;
}

}  // namespace skein
