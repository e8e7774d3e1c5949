// Argument checks that operations share. Messages read `time_mix_in: r: shape [3, 64], expected [3,
// 128]`.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "common/tensor/shape.h"
#include "common/tensor/tensor_view.h"

namespace skein {

// Collects the first failure of a row of checks:
//
//   return ArgsCheck("head").Shape("x", x, {rows, width}).Shape("norm", norm, {width}).status();
class ArgsCheck {
 public:
  explicit ArgsCheck(absl::string_view op) : op_(op) {}

  // InvalidArgument unless `view`, of a tensor or of activations, is there and has this shape.
  template <typename View>
  ArgsCheck& Shape(absl::string_view name, const View& view, const skein::Shape& wanted) {
    if (view.empty() && NumElements(wanted) != 0) return Fail(name, ": missing");
    if (view.shape() != wanted) {
      return Fail(name, absl::StrCat(": shape ", ShapeString(view.shape()), ", expected ",
                                     ShapeString(wanted)));
    }
    return *this;
  }
  // The same for a tensor that may be absent.
  template <typename View>
  ArgsCheck& OptionalShape(absl::string_view name, const View& view, const skein::Shape& wanted) {
    return view.empty() ? *this : Shape(name, view, wanted);
  }
  // InvalidArgument, with `rule` as its text, unless `ok`.
  ArgsCheck& That(bool ok, absl::string_view rule) { return ok ? *this : Fail(rule, ""); }
  // Passes on the failure of a nested check.
  ArgsCheck& Also(absl::string_view name, const absl::Status& nested) {
    return nested.ok() ? *this : Fail(name, absl::StrCat(": ", nested.message()));
  }

  absl::Status status() const { return status_; }

 private:
  ArgsCheck& Fail(absl::string_view name, absl::string_view what) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat(op_, ": ", name, what));
    return *this;
  }

  std::string op_;
  absl::Status status_;
};

}  // namespace skein
