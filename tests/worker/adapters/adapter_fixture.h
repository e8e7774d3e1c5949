// Models and adapter files for tests, made in memory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "worker/adapters/load_adapter.h"

namespace skein {

// Random values, and what the model's tensors are.
class FakeBase : public BaseTensors {
 public:
  // Two layers of an RWKV-7 model with these widths, and a head.
  FakeBase(int64_t width, int64_t ffn_width);

  void Add(const std::string& name, const Shape& shape);
  const Shape* Find(absl::string_view name) const override;
  absl::Status Read(absl::string_view name, int64_t begin, int64_t count,
                    float* out) const override;

 private:
  struct Tensor {
    Shape shape;
    std::vector<float> values;
  };
  std::map<std::string, Tensor, std::less<>> tensors_;
  std::mt19937 random_{7};
};

// The entries of a file. They live as long as this object.
class FakeFile {
 public:
  explicit FakeFile(uint32_t seed = 1) : random_(seed) {}

  FakeFile& Add(const std::string& name, const Shape& shape);  // random values in fp32
  FakeFile& AddValues(const std::string& name, const Shape& shape, std::vector<float> values);
  FakeFile& AddRaw(const std::string& name, DType dtype, const Shape& shape);  // zeros
  // A pair of this rank for the module.
  FakeFile& AddLora(const std::string& module, int64_t outputs, int64_t inputs, int64_t rank);
  FakeFile& AddExperts(const std::string& module, int64_t width, int64_t ffn_width, int64_t rank,
                       int64_t count, float active);
  FakeFile& Remove(const std::string& name);

  std::vector<NamedTensor> tensors() const;

 private:
  struct Tensor {
    std::string name;
    DType dtype;
    Shape shape;
    std::vector<float> values;
  };
  std::mt19937 random_;
  std::vector<Tensor> tensors_;
};

absl::StatusOr<Adapter> Load(const FakeFile& file, const BaseTensors& base,
                             const AdapterOptions& options = {},
                             const std::optional<PeftConfig>& peft = std::nullopt);

// The largest difference relative to the largest expected value.
double LargestError(const std::vector<float>& found, const std::vector<float>& expected);

}  // namespace skein
