#include "worker/adapters/applied_adapters.h"

#include <cmath>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

constexpr int kMostScale = 1000;

std::string Quoted(const AppliedAdapter& one) {
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(one.name), "\"");
}

absl::Status CheckScale(const AppliedAdapter& one) {
  if (!one.scale.has_value()) return absl::OkStatus();
  if (std::isfinite(*one.scale) && std::abs(*one.scale) <= kMostScale) {
    return CheckTakesScale(*one.adapter->adapter);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("scale: ", *one.scale, ", expected ", -kMostScale, " to ", kMostScale));
}

bool HasMagnitudes(const AdapterModule& module) {
  return module.form == AdapterForm::kInputScaled || module.form == AdapterForm::kOutputScaled;
}

// What the adapters so far change.
class Combination {
 public:
  absl::Status Add(const AppliedAdapter& one) {
    const Adapter& adapter = *one.adapter->adapter;
    RETURN_IF_ERROR(AddReplaced(one));
    for (const AdaptedLinear& linear : adapter.linears) RETURN_IF_ERROR(AddLinear(one, linear));
    for (const AdaptedChannelMix& mix : adapter.channel_mixes) {
      RETURN_IF_ERROR(AddExperts(one, mix));
    }
    return absl::OkStatus();
  }

  // Once all are added.
  absl::Status CheckMagnitudes(const AppliedAdapter& one) const {
    if (replacing_ == nullptr || replacing_ == &one) return absl::OkStatus();
    for (const AdaptedLinear& linear : one.adapter->adapter->linears) {
      const std::string weight = absl::StrCat(linear.module, ".weight");
      if (!HasMagnitudes(linear.hooks) ||
          replacing_->adapter->adapter->FindReplaced(weight) == nullptr) {
        continue;
      }
      return Conflict(one, *replacing_,
                      absl::StrCat("the second replaces ", weight,
                                   ", whose norms the magnitudes of the first are made for"));
    }
    return absl::OkStatus();
  }

 private:
  struct Product {
    const AppliedAdapter* any = nullptr;
    const AppliedAdapter* more_than_adds = nullptr;
    int64_t rank = 0;
  };

  static absl::Status Conflict(const AppliedAdapter& a, const AppliedAdapter& b,
                               absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("conditioning.adapters: ", Quoted(a), " and ",
                                                   Quoted(b), " cannot be used together: ", why));
  }

  absl::Status AddReplaced(const AppliedAdapter& one) {
    const Adapter& adapter = *one.adapter->adapter;
    if (adapter.replaced.empty()) return absl::OkStatus();
    if (replacing_ != nullptr) {
      return Conflict(*replacing_, one,
                      "both replace tensors of the model, which one adapter of a request may");
    }
    replacing_ = &one;
    return absl::OkStatus();
  }

  absl::Status AddLinear(const AppliedAdapter& one, const AdaptedLinear& linear) {
    if (linear.hooks.form == AdapterForm::kNone) return absl::OkStatus();
    const auto experts = experts_.find(Parent(linear.module));
    if (experts != experts_.end()) {
      return Conflict(
          *experts->second, one,
          absl::StrCat("the first has experts for ", linear.module, ", which the second changes"));
    }
    Product& product = products_[linear.module];
    if (!linear.hooks.adds_only()) {
      if (product.more_than_adds != nullptr) {
        return Conflict(*product.more_than_adds, one,
                        absl::StrCat("both do more to ", linear.module,
                                     " than to add to its output, which one adapter may"));
      }
      product.more_than_adds = &one;
    }
    product.any = &one;
    product.rank += linear.hooks.rank;
    if (product.rank <= kMaxAdapterRank) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("conditioning.adapters: rank ", product.rank,
                                                   " on ", linear.module, " together, expected at ",
                                                   "most ", kMaxAdapterRank));
  }

  absl::Status AddExperts(const AppliedAdapter& one, const AdaptedChannelMix& mix) {
    const auto [other, first] = experts_.emplace(mix.module, &one);
    if (!first) {
      return Conflict(*other->second, one, absl::StrCat("both have experts for ", mix.module));
    }
    for (const char* matrix : {".key", ".value"}) {
      const auto product = products_.find(mix.module + matrix);
      if (product == products_.end() || product->second.any == &one) continue;
      return Conflict(
          *product->second.any, one,
          absl::StrCat("the second has experts for ", product->first, ", which the first changes"));
    }
    return absl::OkStatus();
  }

  // "blocks.3.ffn" of "blocks.3.ffn.key".
  static std::string Parent(const std::string& module) {
    return module.substr(0, module.rfind('.'));
  }

  std::map<std::string, Product> products_;               // by module
  std::map<std::string, const AppliedAdapter*> experts_;  // by channel mix
  const AppliedAdapter* replacing_ = nullptr;
};

absl::Status CheckDistinct(std::span<const AppliedAdapter> adapters) {
  for (size_t i = 0; i < adapters.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (adapters[i].adapter != adapters[k].adapter) continue;
      return absl::InvalidArgumentError(absl::StrCat("conditioning.adapters: ", Quoted(adapters[i]),
                                                     " is there twice, expected once"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckApplied(std::span<const AppliedAdapter> adapters) {
  if (adapters.size() > kMaxAppliedAdapters) {
    return absl::InvalidArgumentError(absl::StrCat("conditioning.adapters: ", adapters.size(),
                                                   " adapters, expected at most ",
                                                   kMaxAppliedAdapters));
  }
  for (const AppliedAdapter& one : adapters) RETURN_IF_ERROR(CheckScale(one));
  if (adapters.size() < 2) return absl::OkStatus();
  RETURN_IF_ERROR(CheckDistinct(adapters));
  Combination together;
  for (const AppliedAdapter& one : adapters) RETURN_IF_ERROR(together.Add(one));
  for (const AppliedAdapter& one : adapters) RETURN_IF_ERROR(together.CheckMagnitudes(one));
  return absl::OkStatus();
}

}  // namespace skein
