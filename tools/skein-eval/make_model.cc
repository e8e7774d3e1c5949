#include "tools/skein-eval/make_model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "tools/random_model/config.h"
#include "tools/random_model/weights.h"
#include "tools/skein-eval/safetensors_writer.h"
#include "tools/skein-eval/synthetic_vocab.h"

namespace skein::eval {
namespace {

using random_model::PlannedTensor;
using random_model::RandomWeights;

constexpr int64_t kPieceElements = 1 << 18;

struct Shard {
  std::string name;
  std::vector<PlannedTensor> tensors;
};

int64_t Bytes(const PlannedTensor& tensor, DType dtype) {
  return NumElements(tensor.shape) * DTypeBytes(dtype);
}

std::vector<Shard> CutIntoShards(std::vector<PlannedTensor> tensors, DType dtype,
                                 int64_t max_file_bytes) {
  std::vector<Shard> shards(1);
  int64_t bytes = 0;
  for (PlannedTensor& tensor : tensors) {
    bytes += Bytes(tensor, dtype);
    if (bytes > max_file_bytes && !shards.back().tensors.empty()) {
      shards.emplace_back();
      bytes = Bytes(tensor, dtype);
    }
    shards.back().tensors.push_back(std::move(tensor));
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].name = shards.size() == 1
                         ? "model.safetensors"
                         : absl::StrFormat("model-%05d-of-%05d.safetensors", i + 1, shards.size());
  }
  return shards;
}

std::string IndexJson(const std::vector<Shard>& shards, int64_t total_bytes) {
  std::string map;
  for (const Shard& shard : shards) {
    for (const PlannedTensor& tensor : shard.tensors) {
      absl::StrAppend(&map, map.empty() ? "" : ",\n", "    \"", tensor.name, "\": \"", shard.name,
                      "\"");
    }
  }
  return absl::StrCat("{\n  \"metadata\": {\"total_size\": ", total_bytes,
                      "},\n  \"weight_map\": {\n", map, "\n  }\n}\n");
}

class ModelMaker {
 public:
  explicit ModelMaker(const MakeModelOptions& options)
      : options_(options),
        bytes_(kPieceElements * static_cast<size_t>(DTypeBytes(options.dtype))) {}

  absl::Status Run() {
    const std::vector<Shard> shards = CutIntoShards(random_model::PlanTensors(options_.shape),
                                                    options_.dtype, options_.max_file_bytes);
    for (const Shard& shard : shards) {
      for (const PlannedTensor& tensor : shard.tensors) {
        total_bytes_ += Bytes(tensor, options_.dtype);
      }
    }
    for (const Shard& shard : shards) RETURN_IF_ERROR(WriteShard(shard));
    if (shards.size() > 1) {
      RETURN_IF_ERROR(
          WriteTextFile(Path("model.safetensors.index.json"), IndexJson(shards, total_bytes_)));
    }
    return options_.shape.hybrid ? WriteHybridSideFiles() : WriteRwkv7SideFiles();
  }

 private:
  std::string Path(const std::string& name) const {
    return (std::filesystem::path(options_.folder) / name).string();
  }

  absl::Status WriteShard(const Shard& shard) {
    std::vector<TensorHeader> headers;
    for (const PlannedTensor& tensor : shard.tensors) {
      headers.push_back({tensor.name, options_.dtype, tensor.shape});
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsWriter> writer,
                     SafetensorsWriter::Create(Path(shard.name), headers));
    for (const PlannedTensor& tensor : shard.tensors) {
      RETURN_IF_ERROR(WriteTensor(tensor, *writer));
    }
    return writer->Finish();
  }

  absl::Status WriteTensor(const PlannedTensor& tensor, SafetensorsWriter& writer) {
    const RandomWeights weights(tensor, options_.dtype, options_.seed);
    const int64_t count = NumElements(tensor.shape);
    for (int64_t at = 0; at < count; at += kPieceElements) {
      const int64_t piece = std::min(kPieceElements, count - at);
      weights.Write(at, piece, bytes_.data());
      const int64_t piece_bytes = piece * DTypeBytes(options_.dtype);
      RETURN_IF_ERROR(writer.Append(bytes_.data(), static_cast<size_t>(piece_bytes)));
      done_bytes_ += piece_bytes;
      if (options_.progress) options_.progress(done_bytes_, total_bytes_);
    }
    return absl::OkStatus();
  }

  absl::Status WriteRwkv7SideFiles() const {
    return WriteTextFile(Path("rwkv_vocab_v20230424.txt"), WorldVocabulary(options_.shape.vocab));
  }

  absl::Status WriteHybridSideFiles() const {
    const random_model::ModelShape& shape = options_.shape;
    RETURN_IF_ERROR(
        WriteTextFile(Path("config.json"), random_model::ConfigJson(shape, options_.dtype)));
    RETURN_IF_ERROR(
        WriteTextFile(Path("generation_config.json"), random_model::GenerationConfigJson(shape)));
    RETURN_IF_ERROR(WriteTextFile(Path("tokenizer.json"), BpeTokenizerJson(shape.vocab)));
    return WriteTextFile(Path("tokenizer_config.json"), BpeTokenizerConfigJson());
  }

  const MakeModelOptions& options_;
  std::vector<std::byte> bytes_;  // of one piece
  int64_t total_bytes_ = 0;
  int64_t done_bytes_ = 0;
};

}  // namespace

absl::Status MakeModel(const MakeModelOptions& options) {
  RETURN_IF_ERROR(random_model::ValidateShape(options.shape));
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat(options.folder, ": ", error.message()));
  }
  // Files of another model would be mixed with the new ones, or lost.
  if (!std::filesystem::is_empty(options.folder, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(options.folder, ": is not empty; choose another folder or clear it"));
  }
  return ModelMaker(options).Run();
}

}  // namespace skein::eval
