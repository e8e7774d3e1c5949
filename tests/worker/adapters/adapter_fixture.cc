#include "tests/worker/adapters/adapter_fixture.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "kernels/device/parallel_for.h"

namespace skein {
namespace {

std::vector<float> RandomValues(std::mt19937& random, int64_t count) {
  std::uniform_real_distribution<float> uniform(-0.5f, 0.5f);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random);
  return values;
}

}  // namespace

FakeBase::FakeBase(int64_t width, int64_t ffn_width) {
  Add("emb.weight", {50, width});
  for (int i = 0; i < 2; ++i) {
    const std::string layer = absl::StrCat("blocks.", i, ".");
    Add(layer + "ln1.weight", {width});
    Add(layer + "att.x_r", {1, 1, width});
    Add(layer + "att.r_k", {2, width / 2});
    for (const char* name : {"receptance", "key", "value", "output"}) {
      Add(absl::StrCat(layer, "att.", name, ".weight"), {width, width});
    }
    Add(layer + "ffn.x_k", {1, 1, width});
    Add(layer + "ffn.key.weight", {ffn_width, width});
    Add(layer + "ffn.value.weight", {width, ffn_width});
  }
  Add("head.weight", {50, width});
}

void FakeBase::Add(const std::string& name, const Shape& shape) {
  tensors_[name] = {shape, RandomValues(random_, NumElements(shape))};
}

const Shape* FakeBase::Find(absl::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  return found == tensors_.end() ? nullptr : &found->second.shape;
}

absl::Status FakeBase::Read(absl::string_view name, int64_t begin, int64_t count,
                            float* out) const {
  const auto found = tensors_.find(std::string(name));
  SKEIN_CHECK(found != tensors_.end());
  const int64_t stride = NumElements(found->second.shape) / found->second.shape[0];
  std::copy_n(found->second.values.data() + begin * stride, count * stride, out);
  return absl::OkStatus();
}

FakeFile& FakeFile::Add(const std::string& name, const Shape& shape) {
  return AddValues(name, shape, RandomValues(random_, NumElements(shape)));
}

FakeFile& FakeFile::AddValues(const std::string& name, const Shape& shape,
                              std::vector<float> values) {
  SKEIN_CHECK(NumElements(shape) == static_cast<int64_t>(values.size()));
  tensors_.push_back({name, DType::kF32, shape, std::move(values)});
  return *this;
}

FakeFile& FakeFile::AddRaw(const std::string& name, DType dtype, const Shape& shape) {
  tensors_.push_back({name, dtype, shape, std::vector<float>(NumElements(shape) * 2)});
  return *this;
}

FakeFile& FakeFile::AddLora(const std::string& module, int64_t outputs, int64_t inputs,
                            int64_t rank) {
  return Add(module + ".lora_A", {rank, inputs}).Add(module + ".lora_B", {outputs, rank});
}

FakeFile& FakeFile::AddExperts(const std::string& module, int64_t width, int64_t ffn_width,
                               int64_t rank, int64_t count, float active) {
  AddValues(module + ".moe_info", {2}, {static_cast<float>(count), active});
  Add(module + ".router.linear.weight", {count - 1, width});
  for (int64_t e = 0; e < count; ++e) {
    const std::string expert = absl::StrCat(module, ".expert_", e);
    Add(expert + ".key.lora_A_expert_0", {rank, width});
    Add(expert + ".key.lora_B_expert_0", {ffn_width, rank});
    Add(expert + ".value.lora_A_expert_0", {rank, ffn_width});
    Add(expert + ".value.lora_B_expert_0", {width, rank});
  }
  return *this;
}

FakeFile& FakeFile::Remove(const std::string& name) {
  const auto end = std::remove_if(tensors_.begin(), tensors_.end(),
                                  [&](const Tensor& tensor) { return tensor.name == name; });
  SKEIN_CHECK(end != tensors_.end());
  tensors_.erase(end, tensors_.end());
  return *this;
}

std::vector<NamedTensor> FakeFile::tensors() const {
  std::vector<NamedTensor> result;
  for (const Tensor& tensor : tensors_) {
    result.push_back({tensor.name,
                      {tensor.dtype, tensor.shape, RowMajorStrides(tensor.shape),
                       reinterpret_cast<const std::byte*>(tensor.values.data()), true}});
  }
  return result;
}

absl::StatusOr<Adapter> Load(const FakeFile& file, const BaseTensors& base,
                             const AdapterOptions& options, const std::optional<PeftConfig>& peft) {
  ParallelFor threads(1);
  return MakeAdapter(file.tensors(), peft, options, base, threads);
}

double LargestError(const std::vector<float>& found, const std::vector<float>& expected) {
  SKEIN_CHECK(found.size() == expected.size());
  double error = 0, largest = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    error = std::max(error, std::fabs(static_cast<double>(found[i]) - expected[i]));
    largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
    if (std::isnan(found[i])) return NAN;
  }
  return error / largest;
}

}  // namespace skein
