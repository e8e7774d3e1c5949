#include "tools/skein-eval/safetensors_writer.h"

#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace skein::eval {
namespace {

constexpr size_t kHeaderAlignment = 64;  // data then start aligned in the mapped file

std::string Header(const std::vector<TensorHeader>& tensors) {
  std::string json = R"({"__metadata__":{"format":"pt"})";
  int64_t offset = 0;
  for (const TensorHeader& tensor : tensors) {
    absl::StrAppend(&json, ",\"", tensor.name, "\":{\"dtype\":\"", DTypeName(tensor.dtype),
                    "\",\"shape\":", ShapeString(tensor.shape), ",\"data_offsets\":[", offset, ",",
                    offset + tensor.bytes(), "]}");
    offset += tensor.bytes();
  }
  json += "}";
  const size_t total = sizeof(uint64_t) + json.size();
  json.append((kHeaderAlignment - total % kHeaderAlignment) % kHeaderAlignment, ' ');
  const uint64_t length = json.size();
  std::string header(sizeof(length), '\0');
  std::memcpy(header.data(), &length, sizeof(length));
  return header + json;
}

absl::Status CannotWrite(const std::string& path) {
  return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
}

absl::Status Rename(const std::string& from, const std::string& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(to, ": ", error.message()));
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::string path, int64_t data_bytes)
    : path_(std::move(path)),
      partial_path_(path_ + ".partial"),
      out_(partial_path_, std::ios::binary | std::ios::trunc),
      missing_bytes_(data_bytes) {}

SafetensorsWriter::~SafetensorsWriter() {
  if (finished_) return;
  out_.close();
  std::error_code ignored;
  std::filesystem::remove(partial_path_, ignored);
}

absl::StatusOr<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::Create(
    const std::string& path, const std::vector<TensorHeader>& tensors) {
  int64_t data_bytes = 0;
  for (const TensorHeader& tensor : tensors) data_bytes += tensor.bytes();
  std::unique_ptr<SafetensorsWriter> writer(new SafetensorsWriter(path, data_bytes));
  const std::string header = Header(tensors);
  writer->out_.write(header.data(), static_cast<std::streamsize>(header.size()));
  if (!writer->out_.good()) return CannotWrite(writer->partial_path_);
  return writer;
}

absl::Status SafetensorsWriter::Append(const void* data, size_t bytes) {
  SKEIN_CHECK(static_cast<int64_t>(bytes) <= missing_bytes_);
  missing_bytes_ -= static_cast<int64_t>(bytes);
  out_.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  return out_.good() ? absl::OkStatus() : CannotWrite(partial_path_);
}

absl::Status SafetensorsWriter::Finish() {
  SKEIN_CHECK(missing_bytes_ == 0);
  out_.close();
  if (!out_.good()) return CannotWrite(partial_path_);
  RETURN_IF_ERROR(Rename(partial_path_, path_));
  finished_ = true;
  return absl::OkStatus();
}

absl::Status WriteTextFile(const std::string& path, const std::string& text) {
  const std::string partial_path = path + ".partial";
  std::ofstream out(partial_path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out.good()) return CannotWrite(partial_path);
  return Rename(partial_path, path);
}

}  // namespace skein::eval
