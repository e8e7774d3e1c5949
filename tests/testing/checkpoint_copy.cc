#include "tests/testing/checkpoint_copy.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <utility>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/check.h"

namespace skein {
namespace {

// Goes with the process.
struct TemporaryFolder {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / absl::StrCat("skein-test-", getpid());
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

const std::filesystem::path& TemporaryPath() {
  static const TemporaryFolder folder;
  return folder.path;
}

}  // namespace

CheckpointCopy::CheckpointCopy(const ModelFiles& files) : config_(files.config_json()) {
  for (const auto& [name, entry] : files.tensors()) {
    Tensor& tensor = tensors_[name];
    tensor.shape = entry.shape;
    tensor.values.resize(NumElements(entry.shape));
    SKEIN_CHECK(ModelFiles::CopyFloat(entry, tensor.values.data()).ok());
  }
}

void CheckpointCopy::AddZeros(const std::string& name, const Shape& shape) {
  tensors_[name] = {shape, std::vector<float>(NumElements(shape))};
}

void CheckpointCopy::Rename(const std::string& from, const std::string& to) {
  auto node = tensors_.extract(from);
  SKEIN_CHECK(!node.empty());
  node.key() = to;
  tensors_.insert(std::move(node));
}

void CheckpointCopy::Transpose(const std::string& name) {
  Tensor& tensor = tensors_.at(name);
  SKEIN_CHECK(tensor.shape.size() == 2);
  const int64_t rows = tensor.shape[0], cols = tensor.shape[1];
  const std::vector<float> old = tensor.values;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) tensor.values[j * rows + i] = old[i * cols + j];
  }
  std::swap(tensor.shape[0], tensor.shape[1]);
}

std::string CheckpointCopy::Write(const std::string& name) const {
  const std::filesystem::path folder = TemporaryPath() / name;
  std::filesystem::create_directories(folder);
  std::string header = "{", data;
  for (const auto& [tensor_name, tensor] : tensors_) {
    const size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(tensor.values.data()),
                tensor.values.size() * sizeof(float));
    absl::StrAppend(&header, header.size() > 1 ? "," : "", "\"", tensor_name,
                    "\":{\"dtype\":\"F32\",\"shape\":[", absl::StrJoin(tensor.shape, ","),
                    "],\"data_offsets\":[", begin, ",", data.size(), "]}");
  }
  header += "}";
  std::ofstream file(folder / "model.safetensors", std::ios::binary);
  const uint64_t length = header.size();
  file.write(reinterpret_cast<const char*>(&length), sizeof(length));
  file << header << data;
  std::ofstream(folder / "config.json") << config_;
  return folder.string();
}

}  // namespace skein
