#include "kernels/adapter/adapter_module.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/tensor/shape.h"
#include "kernels/device/check_args.h"

namespace skein {
namespace {

class ModuleCheck {
 public:
  explicit ModuleCheck(const AdapterModule& module)
      : module_(module), check_(AdapterFormName(module.form)) {}

  absl::Status Run() {
    const AdapterModule& m = module_;
    check_.That(m.outputs > 0 && m.inputs > 0 && m.rank > 0, "no extent may be zero");
    switch (m.form) {
      case AdapterForm::kNone:
        return absl::OkStatus();
      case AdapterForm::kLowRank:
        LowRank();
        break;
      case AdapterForm::kInputScaled:
        LowRank();
        check_.Shape("input_scale", m.input_scale, {m.inputs});
        break;
      case AdapterForm::kOutputScaled:
        LowRank();
        check_.Shape("output_scale", m.output_scale, {m.outputs});
        break;
      case AdapterForm::kInputBlocks:
        Matrix("blocks", m.blocks, m.inputs, m.rank);
        Divides(m.inputs, "inputs");
        Divides(m.outputs, "outputs");
        break;
      case AdapterForm::kInputSums:
        Matrix("up", m.up, m.up.rows, m.rank);
        check_.That(m.up.rows > 0 && m.outputs % m.up.rows == 0, "up must divide the outputs");
        break;
      case AdapterForm::kOutputBlocks:
        Matrix("blocks", m.blocks, m.outputs, m.rank);
        Divides(m.inputs, "inputs");
        Divides(m.outputs, "outputs");
        break;
    }
    return check_.status();
  }

 private:
  void LowRank() {
    Matrix("down", module_.down, module_.rank, module_.inputs);
    Matrix("up", module_.up, module_.outputs, module_.rank);
  }
  void Matrix(absl::string_view name, const WeightMatrix& matrix, int64_t rows, int64_t cols) {
    const bool fits =
        !matrix.empty() && matrix.rows == rows && matrix.cols == cols && !matrix.transposed;
    check_.That(fits, absl::StrCat(name, ": shape ", ShapeString({matrix.rows, matrix.cols}),
                                   ", expected ", ShapeString({rows, cols})));
  }
  void Divides(int64_t extent, absl::string_view name) {
    check_.That(module_.rank > 0 && extent % module_.rank == 0,
                absl::StrCat("blocks of ", module_.rank, " do not divide ", extent, " ", name));
  }

  const AdapterModule& module_;
  ArgsCheck check_;
};

}  // namespace

absl::string_view AdapterFormName(AdapterForm form) {
  switch (form) {
    case AdapterForm::kNone:
      return "none";
    case AdapterForm::kLowRank:
      return "low rank";
    case AdapterForm::kInputScaled:
      return "low rank, inputs scaled";
    case AdapterForm::kOutputScaled:
      return "low rank, outputs scaled";
    case AdapterForm::kInputBlocks:
      return "input blocks";
    case AdapterForm::kInputSums:
      return "input sums";
    case AdapterForm::kOutputBlocks:
      return "output blocks";
  }
  return "unknown";
}

absl::Status AdapterModule::Validate() const { return ModuleCheck(*this).Run(); }

absl::Status MoleExperts::Validate() const {
  const int64_t count = static_cast<int64_t>(experts.size());
  ArgsCheck check("mixture of experts");
  check.That(count >= 2, "has fewer than 2 experts")
      .That(active >= 1 && active <= count, "active experts are more than there are, or none")
      .That(rule == 1 || rule == 2, "rule must be 1 or 2");
  RETURN_IF_ERROR(check.status());
  check.That(!router.empty() && router.rows == count - 1 && router.dtype == DType::kF32,
             "router does not fit the experts");
  for (const Expert& expert : experts) {
    check.Also("key", expert.key.Validate())
        .Also("value", expert.value.Validate())
        .That(
            expert.key.form == AdapterForm::kLowRank && expert.value.form == AdapterForm::kLowRank,
            "experts must be of low rank")
        .That(expert.key.inputs == width() && expert.value.outputs == width() &&
                  expert.key.outputs == ffn_width() && expert.value.inputs == ffn_width(),
              "experts differ in shape");
  }
  return check.status();
}

}  // namespace skein
