#include "tools/skein-eval/npy_writer.h"

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein::eval {

absl::Status NpyWriter::Check() const {
  return out_ ? absl::OkStatus()
              : absl::UnavailableError(absl::StrCat(path_, ": cannot be written"));
}

absl::Status NpyWriter::Open(const std::string& path, int64_t rows, int64_t cols) {
  path_ = path;
  out_.open(path, std::ios::binary | std::ios::trunc);
  // Format 1.0: magic, version, length of the header, which is padded so that the data begin at a
  // multiple of 64.
  std::string header =
      absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': (", rows, ", ", cols, "), }");
  constexpr size_t kBefore = 10;
  header.append(63 - (kBefore + header.size()) % 64, ' ');
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  out_.write("\x93NUMPY\x01\x00", 8);
  out_.put(static_cast<char>(length & 0xff)).put(static_cast<char>(length >> 8));
  out_ << header;
  return Check();
}

absl::Status NpyWriter::Append(std::span<const float> row) {
  out_.write(reinterpret_cast<const char*>(row.data()),
             static_cast<std::streamsize>(row.size() * sizeof(float)));
  return Check();
}

absl::Status NpyWriter::Close() {
  out_.close();
  return Check();
}

}  // namespace skein::eval
