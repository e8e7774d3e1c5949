#include "worker/models/checkpoint.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "boost/json.hpp"

namespace skein {
namespace {

constexpr int64_t kMaxLayers = 10000;

absl::Status WrongKind(absl::string_view key, absl::string_view wanted) {
  return absl::DataLossError(absl::StrCat("config.json: ", key, ": expected ", wanted));
}

}  // namespace

absl::StatusOr<Shape> TensorShape(const ModelFiles& files, absl::string_view name, int rank) {
  const TensorEntry* entry = files.Find(name);
  if (entry == nullptr) return absl::DataLossError(absl::StrCat(name, ": missing"));
  Shape shape = entry->shape;
  while (static_cast<int>(shape.size()) > rank && shape.front() == 1) shape.erase(shape.begin());
  if (static_cast<int>(shape.size()) != rank || NumElements(shape) == 0) {
    return absl::DataLossError(absl::StrCat(name, ": shape ", ShapeString(entry->shape),
                                            ", expected ", rank, " dimensions"));
  }
  return shape;
}

absl::StatusOr<int64_t> CountLayers(const ModelFiles& files, absl::string_view prefix) {
  std::set<int64_t> found;
  for (const auto& [name, entry] : files.tensors()) {
    absl::string_view rest = name;
    if (!absl::ConsumePrefix(&rest, prefix)) continue;
    const size_t dot = rest.find('.');
    int64_t index = 0;
    if (dot == absl::string_view::npos || !absl::SimpleAtoi(rest.substr(0, dot), &index) ||
        index < 0 || index >= kMaxLayers) {
      return absl::DataLossError(absl::StrCat(name, ": no layer index after ", prefix));
    }
    found.insert(index);
  }
  int64_t count = 0;
  for (const int64_t index : found) {
    if (index != count) {
      return absl::DataLossError(absl::StrCat("no tensor of layer ", count, " (", prefix, count,
                                              "), but there are ", prefix, index));
    }
    ++count;
  }
  return count;
}

bool AnyNameContains(const ModelFiles& files, absl::string_view part) {
  return std::any_of(files.tensors().begin(), files.tensors().end(),
                     [&](const auto& tensor) { return absl::StrContains(tensor.first, part); });
}

struct ModelConfig::Object {
  boost::json::object members;

  const boost::json::value* Find(absl::string_view key) const {
    const boost::json::value* value = members.if_contains({key.data(), key.size()});
    return value == nullptr || value->is_null() ? nullptr : value;
  }
};

ModelConfig::ModelConfig(std::unique_ptr<Object> object) : object_(std::move(object)) {}
ModelConfig::~ModelConfig() = default;
ModelConfig::ModelConfig(ModelConfig&&) noexcept = default;
ModelConfig& ModelConfig::operator=(ModelConfig&&) noexcept = default;

absl::StatusOr<ModelConfig> ModelConfig::Parse(const std::string& text) {
  auto object = std::make_unique<Object>();
  if (!text.empty()) {
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(text, error);
    if (error) return absl::DataLossError(absl::StrCat("config.json: ", error.message()));
    if (!value.is_object()) return absl::DataLossError("config.json: expected an object");
    object->members = std::move(value.as_object());
  }
  return ModelConfig(std::move(object));
}

absl::StatusOr<std::optional<int64_t>> ModelConfig::Integer(absl::string_view key) const {
  const boost::json::value* value = object_->Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_int64()) return WrongKind(key, "an integer");
  return value->get_int64();
}

absl::StatusOr<std::optional<double>> ModelConfig::Number(absl::string_view key) const {
  const boost::json::value* value = object_->Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) return WrongKind(key, "a number");
  return value->to_number<double>();
}

absl::StatusOr<std::optional<bool>> ModelConfig::Boolean(absl::string_view key) const {
  const boost::json::value* value = object_->Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) return WrongKind(key, "true or false");
  return value->get_bool();
}

absl::StatusOr<std::optional<std::string>> ModelConfig::String(absl::string_view key) const {
  const boost::json::value* value = object_->Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return WrongKind(key, "a string");
  return std::string(value->get_string().c_str());
}

absl::StatusOr<std::optional<std::vector<int64_t>>> ModelConfig::Integers(
    absl::string_view key) const {
  const boost::json::value* value = object_->Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) return WrongKind(key, "a list of integers");
  std::vector<int64_t> numbers;
  for (const boost::json::value& item : value->get_array()) {
    if (!item.is_int64()) return WrongKind(key, "a list of integers");
    numbers.push_back(item.get_int64());
  }
  return numbers;
}

ModelConfig ModelConfig::Section(absl::string_view key) const {
  auto section = std::make_unique<Object>();
  const boost::json::value* value = object_->Find(key);
  if (value != nullptr && value->is_object()) section->members = value->get_object();
  return ModelConfig(std::move(section));
}

}  // namespace skein
