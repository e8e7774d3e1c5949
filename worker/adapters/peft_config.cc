#include "worker/adapters/peft_config.h"

#include <cmath>
#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include <boost/json.hpp>

#include "common/base/status_macros.h"
#include "worker/adapters/adapter_name.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDepth = 16;
constexpr int64_t kMaxRank = 1 << 20;

absl::Status Wrong(absl::string_view key, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("\"", key, "\" ", what));
}

// nullptr for a key that is absent or null.
const json::value* Member(const json::object& object, absl::string_view key) {
  const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

absl::StatusOr<double> Number(const json::value& value, absl::string_view key) {
  double number = std::numeric_limits<double>::quiet_NaN();
  if (value.is_int64()) number = static_cast<double>(value.get_int64());
  if (value.is_uint64()) number = static_cast<double>(value.get_uint64());
  if (value.is_double()) number = value.get_double();
  if (!std::isfinite(number)) return Wrong(key, "is not a finite number");
  return number;
}
absl::StatusOr<int64_t> Rank(const json::value& value, absl::string_view key) {
  if (!value.is_int64() || value.get_int64() < 1 || value.get_int64() > kMaxRank) {
    return Wrong(key, absl::StrCat("is not a rank from 1 to ", kMaxRank));
  }
  return value.get_int64();
}
absl::StatusOr<bool> Boolean(const json::object& object, absl::string_view key) {
  const json::value* value = Member(object, key);
  if (value == nullptr) return false;
  if (!value->is_bool()) return Wrong(key, "is neither true nor false");
  return value->get_bool();
}
absl::string_view Text(const json::value& value) {
  return {value.get_string().data(), value.get_string().size()};
}

// A pattern is a regular expression in PEFT; what people write are names, some with escaped dots.
absl::StatusOr<std::string> PatternName(absl::string_view pattern) {
  std::string name = absl::StrReplaceAll(pattern, {{"\\.", "."}});
  if (!name.empty() && name[0] == '^') name.erase(0, 1);
  if (!name.empty() && name.back() == '$') name.pop_back();
  for (const char c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-') {
      return absl::UnimplementedError(
          absl::StrCat("pattern \"", pattern,
                       "\" is a regular expression; only names of modules are supported"));
    }
  }
  return name;
}

template <typename T, typename Read>
absl::StatusOr<std::vector<std::pair<std::string, T>>> Pattern(const json::object& object,
                                                               absl::string_view key, Read read) {
  std::vector<std::pair<std::string, T>> result;
  const json::value* value = Member(object, key);
  if (value == nullptr) return result;
  if (!value->is_object()) return Wrong(key, "is not a JSON object");
  for (const auto& member : value->get_object()) {
    ASSIGN_OR_RETURN(std::string name, PatternName({member.key().data(), member.key().size()}));
    ASSIGN_OR_RETURN(const T number, read(member.value(), key));
    result.emplace_back(std::move(name), number);
  }
  return result;
}

template <typename T>
std::optional<T> FindPattern(const std::vector<std::pair<std::string, T>>& patterns,
                             absl::string_view module) {
  const std::string native = NativeName(module);
  for (const auto& [pattern, value] : patterns) {
    for (const absl::string_view name : {module, absl::string_view(native)}) {
      if (name == pattern || absl::EndsWith(name, absl::StrCat(".", pattern))) return value;
    }
  }
  return std::nullopt;
}

absl::Status CheckMethod(const json::object& object) {
  const json::value* type = Member(object, "peft_type");
  if (type == nullptr || !type->is_string()) return Wrong("peft_type", "is missing or no string");
  const absl::string_view name = Text(*type);
  if (name == "LORA" || name == "MISS" || name == "BONE") return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("peft_type ", name, " is not supported; LORA, MISS and BONE are"));
}

absl::Status CheckOrientation(const json::object& object) {
  ASSIGN_OR_RETURN(const bool transposed, Boolean(object, "fan_in_fan_out"));
  if (!transposed) return absl::OkStatus();
  return absl::UnimplementedError("fan_in_fan_out is not supported");
}

absl::Status ReadBlocks(const json::object& object, PeftConfig& config) {
  const json::value* init = Member(object, "init_weights");
  if (init == nullptr || !init->is_string()) return absl::OkStatus();
  const std::string kind = absl::AsciiStrToLower(Text(*init));
  if (kind == "bat") config.blocks = PeftConfig::Blocks::kBat;
  if (kind != "mini") return absl::OkStatus();
  config.blocks = PeftConfig::Blocks::kMini;
  const json::value* width = Member(object, "mini_r");
  if (width == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(config.mini_width, Rank(*width, "mini_r"));
  return absl::OkStatus();
}

absl::Status ReadScaling(const json::object& object, PeftConfig& config) {
  if (const json::value* rank = Member(object, "r")) {
    ASSIGN_OR_RETURN(config.rank, Rank(*rank, "r"));
  }
  config.alpha = static_cast<double>(config.rank);
  if (const json::value* alpha = Member(object, "lora_alpha")) {
    ASSIGN_OR_RETURN(config.alpha, Number(*alpha, "lora_alpha"));
  }
  ASSIGN_OR_RETURN(config.rank_stabilised, Boolean(object, "use_rslora"));
  ASSIGN_OR_RETURN(config.rank_pattern, Pattern<int64_t>(object, "rank_pattern", Rank));
  ASSIGN_OR_RETURN(config.alpha_pattern, Pattern<double>(object, "alpha_pattern", Number));
  return absl::OkStatus();
}

}  // namespace

int64_t PeftConfig::RankOf(absl::string_view module) const {
  return FindPattern(rank_pattern, module).value_or(rank);
}

double PeftConfig::ScalingOf(absl::string_view module, int64_t rank) const {
  const double alpha_of_module = FindPattern(alpha_pattern, module).value_or(alpha);
  const double r = static_cast<double>(rank);
  return alpha_of_module / (rank_stabilised ? std::sqrt(r) : r);
}

absl::StatusOr<PeftConfig> ParsePeftConfig(absl::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::error_code error;
  const json::value value =
      json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return absl::DataLossError(absl::StrCat("not valid JSON: ", error.message()));
  if (!value.is_object()) return absl::DataLossError("is not a JSON object");
  const json::object& object = value.get_object();
  RETURN_IF_ERROR(CheckMethod(object));
  RETURN_IF_ERROR(CheckOrientation(object));
  PeftConfig config;
  RETURN_IF_ERROR(ReadBlocks(object, config));
  RETURN_IF_ERROR(ReadScaling(object, config));
  return config;
}

}  // namespace skein
