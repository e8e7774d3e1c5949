#include "worker/adapters/merge.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "kernels/linear/linear.h"
#include "worker/weights/tensor_entry.h"

namespace skein {
namespace {

constexpr int64_t kChunkRows = 128;

struct Floats {
  Floats(int64_t rows, int64_t cols) : values(rows * cols), shape{rows, cols} {}
  TensorView<float> view() { return {values.data(), shape}; }
  WeightMatrix matrix() const { return {values.data(), DType::kF32, shape[0], shape[1]}; }
  float* row(int64_t i) { return values.data() + i * shape[1]; }

  std::vector<float> values;
  Shape shape;
};

// Rows [begin, begin + count), as fp32, transposed if asked for.
Floats Widened(const WeightMatrix& matrix, int64_t begin, int64_t count, bool transposed = false) {
  Floats rows(count, matrix.cols);
  for (int64_t i = 0; i < count; ++i) WeightRow(matrix, begin + i, rows.row(i));
  if (!transposed) return rows;
  Floats result(matrix.cols, count);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < matrix.cols; ++j) result.row(j)[i] = rows.row(i)[j];
  }
  return result;
}

// out = x w^T
void Multiply(Floats& x, const Floats& w, Floats& out, ParallelFor& threads) {
  const ConstActivationView inputs(x.values.data(), x.shape);
  const ActivationView outputs(out.values.data(), out.shape);
  const Projection projection = {w.matrix(), {}, Activation::kNone, inputs, outputs};
  ProjectCpu({&projection, 1}, threads);
}

// W_ab += W_ab T_b + T_b for all rows, block of inputs by block of inputs.
void MergeInputBlocks(const AdapterModule& module, int64_t begin, const TensorView<float>& rows,
                      ParallelFor& threads) {
  const int64_t r = module.rank, n = rows.dim(0);
  Floats part(n, r), product(n, r);
  for (int64_t b = 0; b < module.inputs; b += r) {
    Floats block = Widened(module.blocks, b, r);
    const Floats transposed = Widened(module.blocks, b, r, true);
    for (int64_t i = 0; i < n; ++i) std::copy_n(rows.row(i) + b, r, part.row(i));
    Multiply(part, transposed, product, threads);
    for (int64_t i = 0; i < n; ++i) {
      const float* added = block.row((begin + i) % r);
      for (int64_t j = 0; j < r; ++j) rows.row(i)[b + j] += product.row(i)[j] + added[j];
    }
  }
}

// W_ab += W_ab T_a + T_a: the blocks of a row are rows of one product.
void MergeOutputBlocks(const AdapterModule& module, int64_t begin, const TensorView<float>& rows,
                       ParallelFor& threads) {
  const int64_t r = module.rank, n = rows.dim(0), groups = module.inputs / r;
  SKEIN_CHECK(begin % r == 0 && n % r == 0);
  for (int64_t a = 0; a < n; a += r) {
    Floats block = Widened(module.blocks, begin + a, r);
    const Floats transposed = Widened(module.blocks, begin + a, r, true);
    Floats part(r * groups, r), product(r * groups, r);
    std::copy_n(rows.row(a), r * module.inputs, part.values.data());
    Multiply(part, transposed, product, threads);
    for (int64_t i = 0; i < r * groups; ++i) {
      const float* added = block.row(i / groups);
      float* out = rows.row(a) + i * r;
      for (int64_t j = 0; j < r; ++j) out[j] += product.row(i)[j] + added[j];
    }
  }
}

// W[m, i] += D[i mod r, m]
void MergeInputSums(const AdapterModule& module, int64_t begin, const TensorView<float>& rows) {
  std::vector<float> column(module.rank);
  for (int64_t m = 0; m < rows.dim(0); ++m) {
    WeightRow(module.up, (begin + m) % module.up.rows, column.data());
    float* out = rows.row(m);
    for (int64_t i = 0; i < module.inputs; ++i) out[i] += column[i % module.rank];
  }
}

}  // namespace

int64_t MergeChunkRows(const AdapterModule& module) {
  if (module.form != AdapterForm::kOutputBlocks) return kChunkRows;
  return std::max<int64_t>(1, kChunkRows / module.rank) * module.rank;
}

void AddLowRankRows(const AdapterModule& module, int64_t begin, const TensorView<float>& rows,
                    ParallelFor& threads) {
  const int64_t n = rows.dim(0);
  Floats up = Widened(module.up, begin, n);
  const Floats down = Widened(module.down, 0, module.rank, true);
  Floats product(n, module.inputs);
  Multiply(up, down, product, threads);
  for (int64_t i = 0; i < n * module.inputs; ++i) rows[i] += module.scale * product.values[i];
}

void MergeRows(const AdapterModule& module, int64_t begin, const TensorView<float>& rows,
               ParallelFor& threads) {
  SKEIN_CHECK(rows.dim(1) == module.inputs);
  if (module.low_rank()) AddLowRankRows(module, begin, rows, threads);
  switch (module.form) {
    case AdapterForm::kInputScaled:
      for (int64_t m = 0; m < rows.dim(0); ++m) {
        for (int64_t k = 0; k < module.inputs; ++k) rows.row(m)[k] *= module.input_scale[k];
      }
      return;
    case AdapterForm::kOutputScaled:
      for (int64_t m = 0; m < rows.dim(0); ++m) {
        for (int64_t k = 0; k < module.inputs; ++k) {
          rows.row(m)[k] *= module.output_scale[begin + m];
        }
      }
      return;
    case AdapterForm::kInputBlocks:
      return MergeInputBlocks(module, begin, rows, threads);
    case AdapterForm::kInputSums:
      return MergeInputSums(module, begin, rows);
    case AdapterForm::kOutputBlocks:
      return MergeOutputBlocks(module, begin, rows, threads);
    default:
      return;
  }
}

absl::Status ReadUnderAdapter(const Adapter& adapter, absl::string_view name,
                              const BaseTensors& base, int64_t begin, int64_t count, float* out) {
  const ReplacedTensor* replaced = adapter.FindReplaced(name);
  if (replaced == nullptr) return base.Read(name, begin, count, out);
  const int64_t stride = NumElements(replaced->shape) / replaced->shape[0];
  const char* data =
      static_cast<const char*>(replaced->data) + begin * stride * DTypeBytes(replaced->dtype);
  return ConvertToFloat(replaced->dtype, data, count * stride, out);
}

absl::StatusOr<std::vector<float>> MergedTensor(const Adapter& adapter, absl::string_view name,
                                                const BaseTensors& base, ParallelFor& threads) {
  const Shape* shape = base.Find(name);
  if (shape == nullptr || shape->empty()) {
    return absl::NotFoundError(absl::StrCat("the model has no tensor \"", name, "\""));
  }
  std::vector<float> values(NumElements(*shape));
  RETURN_IF_ERROR(ReadUnderAdapter(adapter, name, base, 0, (*shape)[0], values.data()));
  absl::string_view module = name;
  if (!absl::ConsumeSuffix(&module, ".weight")) return values;
  const AdaptedLinear* linear = adapter.FindLinear(module);
  if (linear == nullptr) return values;
  const int64_t outputs = linear->hooks.outputs, inputs = linear->hooks.inputs;
  const int64_t chunk = MergeChunkRows(linear->hooks);
  for (int64_t begin = 0; begin < outputs; begin += chunk) {
    const int64_t n = std::min(chunk, outputs - begin);
    MergeRows(linear->hooks, begin, {values.data() + begin * inputs, {n, inputs}}, threads);
  }
  return values;
}

}  // namespace skein
