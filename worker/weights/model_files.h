// An opened checkpoint: an index of its tensors over memory-mapped bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "worker/weights/mapped_file.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

// Thread-safe once opened. A file may be cut while it is open: what is read through this class is
// an error then, where touching the entries' own bytes raises SIGBUS.
class ModelFiles {
 public:
  // `path`: a folder with model.safetensors or model.safetensors.index.json, or one *.safetensors
  // or *.pth in it; or such a file itself. NotFound if there is none, InvalidArgument if there are
  // several or the file is of another kind, DataLoss if a file is damaged, Unimplemented for
  // formats that are recognised but not read. Every message names the file and the tensor or the
  // byte offset.
  static absl::StatusOr<std::unique_ptr<ModelFiles>> Open(const std::string& path);
  // A checkpoint that no file holds. `memory` owns what the entries point to and lives as long as
  // the result; `config_json` may be empty. InvalidArgument for a name that comes twice.
  static absl::StatusOr<std::unique_ptr<ModelFiles>> FromMemory(std::vector<NamedTensor> tensors,
                                                                std::string config_json,
                                                                std::shared_ptr<const void> memory);
  ModelFiles(const ModelFiles&) = delete;
  ModelFiles& operator=(const ModelFiles&) = delete;

  const absl::btree_map<std::string, TensorEntry>& tensors() const { return tensors_; }
  const TensorEntry* Find(absl::string_view name) const;  // nullptr if absent

  // Elements of a tensor of this checkpoint, or of a part of one, or of one in memory, row-major
  // and in the entry's own dtype, to `out` (NumElements * DTypeBytes bytes). DataLoss if its file
  // was cut.
  absl::Status ReadRaw(const TensorEntry& entry, void* out) const;
  // The same, converted to fp32. InvalidArgument for integer types.
  absl::Status ReadFloat(const TensorEntry& entry, float* out) const;
  // Bytes of such tensors as they lie in the file.
  absl::Status ReadBytes(const std::byte* data, int64_t bytes, void* out) const;

  // The same for what cannot be cut, such as copies in memory.
  static void CopyRaw(const TensorEntry& entry, void* out);
  static absl::Status CopyFloat(const TensorEntry& entry, float* out);

  const std::string& folder() const {
    return folder_;
  }  // where tokenizer and config files are looked for; empty if in memory
  const std::string& config_json() const {
    return config_json_;
  }  // text of config.json, empty if there is none
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  ModelFiles() = default;
  absl::Status AddCheckpoint(const std::string& path);
  absl::StatusOr<std::vector<NamedTensor>> MapFile(const std::string& path);
  absl::Status AddFile(const std::string& path);
  absl::Status AddIndex(const std::string& path);
  absl::Status AddShard(const std::string& index_path, const std::string& shard,
                        const absl::btree_map<std::string, std::string>& index);
  absl::Status ReadConfig();
  absl::StatusOr<TensorEntry> ReadExtent(const TensorEntry& entry,
                                         std::vector<std::byte>& bytes) const;

  std::string folder_;
  std::string config_json_;
  uint64_t file_bytes_ = 0;
  std::vector<std::unique_ptr<MappedFile>> mappings_;
  std::shared_ptr<const void> memory_;
  absl::btree_map<std::string, TensorEntry> tensors_;
};

}  // namespace skein
