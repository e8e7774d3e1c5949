// An opened adapter: the tensors of its files, which are read whole.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "worker/adapters/peft_config.h"
#include "worker/weights/file_content.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

struct AdapterFiles {
  std::string label;                  // the file's or folder's own name, for messages
  std::vector<NamedTensor> tensors;   // of all files
  std::optional<PeftConfig> peft;     // of a Hugging Face folder
  std::vector<FileContent> contents;  // what the tensors point into
};

// `path`: a .pth or .safetensors file; a folder of Hugging Face's PEFT library, with
// adapter_config.json and adapter_model.safetensors; or a folder with one such file and, for PiSSA,
// the initial factors in a file whose name starts with "init_". NotFound, InvalidArgument if the
// path is none of these, DataLoss for damaged files, Unimplemented for formats and methods that are
// recognised but not read. Messages start with the file's name, without its folder.
absl::StatusOr<AdapterFiles> OpenAdapterFiles(const std::string& path);

}  // namespace skein
