// Adapter files for a checkpoint, as a trainer would write them.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/worker/adapters/adapter_fixture.h"
#include "worker/weights/model_files.h"

namespace skein {

class AdapterMaker {
 public:
  // `files` must outlive this object.
  AdapterMaker(const ModelFiles& files, uint32_t seed, int64_t rank = 16)
      : files_(files), rank_(rank), random_(seed) {}

  // Entries for every linear layer, by method: "lora", "dora", "dora_rows", "bone", "miss"; for
  // every RWKV-7 channel mix: "experts"; or "replacement": vectors, low-rank maps and some of the
  // large matrices, one of them with a LoRA on top.
  FakeFile Make(const std::string& method);

 private:
  std::vector<float> Values(int64_t count, float middle, float width);
  void Small(const std::string& name, const Shape& shape);
  void Change(const std::string& method, const std::string& module, int64_t outputs,
              int64_t inputs);
  void Replace(const std::string& name, const std::string& native, const TensorEntry& entry);

  const ModelFiles& files_;
  const int64_t rank_;
  std::mt19937 random_;
  FakeFile file_;
};

}  // namespace skein
