#include "tests/worker/weights/checkpoint_writer.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/check.h"

namespace skein {
namespace {

template <typename T>
std::string Bytes(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

std::string Rounded(DType dtype, float value) {
  switch (dtype) {
    case DType::kF32:
      return Bytes(value);
    case DType::kBF16:
      return Bytes(FloatToBf16(value));
    case DType::kF16:
      return Bytes(FloatToFp16(value));
    case DType::kF64:
      return Bytes(static_cast<double>(value));
    default:
      SKEIN_CHECK(false);
      return "";
  }
}

uint16_t Size16(absl::string_view text) { return static_cast<uint16_t>(text.size()); }
uint32_t Size32(absl::string_view text) { return static_cast<uint32_t>(text.size()); }

}  // namespace

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "skein_test_XXXXXX").string();
  SKEIN_CHECK(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempFolder::File(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

std::string TempFolder::Write(absl::string_view name, absl::string_view content) const {
  const std::string path = File(name);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  SKEIN_CHECK(out.good());
  return path;
}

TestTensor MakeTestTensor(std::string name, DType dtype, Shape shape,
                          const std::vector<float>& values) {
  SKEIN_CHECK(NumElements(shape) == static_cast<int64_t>(values.size()));
  std::string bytes;
  for (const float value : values) bytes += Rounded(dtype, value);
  return {std::move(name), dtype, std::move(shape), std::move(bytes)};
}

std::string SafetensorsBytes(absl::string_view header_json, absl::string_view data) {
  return absl::StrCat(Bytes(static_cast<uint64_t>(header_json.size())), header_json, data);
}

std::string SafetensorsBytes(const std::vector<TestTensor>& tensors) {
  std::vector<std::string> fields;
  std::string data;
  for (const TestTensor& tensor : tensors) {
    fields.push_back(absl::StrCat("\"", tensor.name, "\":{\"dtype\":\"", DTypeName(tensor.dtype),
                                  "\",\"shape\":", ShapeString(tensor.shape), ",\"data_offsets\":[",
                                  data.size(), ",", data.size() + tensor.bytes.size(), "]}"));
    data += tensor.bytes;
  }
  return SafetensorsBytes(absl::StrCat("{", absl::StrJoin(fields, ","), "}"), data);
}

std::string ZipBytes(const std::vector<std::pair<std::string, std::string>>& entries) {
  constexpr uint16_t kFlags = 0x0808;  // sizes in the directory, names in UTF-8
  std::string body;
  std::string directory;
  for (const auto& [name, content] : entries) {
    const uint32_t offset = Size32(body);
    absl::StrAppend(&body, "PK\x03\x04", Bytes<uint16_t>(20), Bytes(kFlags), std::string(18, '\0'));
    absl::StrAppend(&body, Bytes(Size16(name)), Bytes<uint16_t>(0), name, content);
    absl::StrAppend(&directory, "PK\x01\x02", Bytes<uint16_t>(20), Bytes<uint16_t>(20),
                    Bytes(kFlags), std::string(10, '\0'));
    absl::StrAppend(&directory, Bytes(Size32(content)), Bytes(Size32(content)), Bytes(Size16(name)),
                    std::string(12, '\0'));
    absl::StrAppend(&directory, Bytes(offset), name);
  }
  const uint16_t count = static_cast<uint16_t>(entries.size());
  std::string end = absl::StrCat("PK\x05\x06", std::string(4, '\0'), Bytes(count), Bytes(count));
  absl::StrAppend(&end, Bytes(Size32(directory)), Bytes(Size32(body)), std::string(2, '\0'));
  return absl::StrCat(body, directory, end);
}

std::string PthBytes(absl::string_view pickle, absl::string_view storage) {
  return ZipBytes({{"archive/data.pkl", std::string(pickle)},
                   {"archive/data/0", std::string(storage)},
                   {"archive/version", "3\n"}});
}

}  // namespace skein
