#include "tools/skein-bench/report.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include <boost/json.hpp>

namespace skein::bench {
namespace {

constexpr size_t kMinWidth = 8;
constexpr size_t kMinTextWidth = 15;

std::string Text(const Field& field) {
  if (const auto* number = std::get_if<int64_t>(&field.value)) return absl::StrCat(*number);
  if (const auto* number = std::get_if<double>(&field.value)) {
    return absl::StrFormat("%.*f", field.decimals, *number);
  }
  if (const auto* verdict = std::get_if<bool>(&field.value)) return *verdict ? "ok" : "FAILED";
  return std::get<std::string>(field.value);
}

size_t Width(const Field& field) {
  const bool text = std::holds_alternative<std::string>(field.value);
  return std::max(field.name.size(), text ? kMinTextWidth : kMinWidth);
}

boost::json::value Json(const Field& field) {
  if (const auto* number = std::get_if<int64_t>(&field.value)) return *number;
  if (const auto* number = std::get_if<double>(&field.value)) {
    return std::isfinite(*number) ? boost::json::value(*number) : boost::json::value();
  }
  if (const auto* verdict = std::get_if<bool>(&field.value)) return *verdict;
  return boost::json::value(std::get<std::string>(field.value));
}

boost::json::object Json(const Line& line) {
  boost::json::object object;
  for (const Field& field : line) object[field.name] = Json(field);
  return object;
}

}  // namespace

Report::Report(std::ostream& out, Line about) : out_(out), about_(std::move(about)) {
  for (const Field& field : about_) out_ << absl::StrFormat("%s: %s\n", field.name, Text(field));
}

void Report::Add(Line line) {
  std::string heading, row;
  for (const Field& field : line) {
    if (!field.in_table) continue;
    const auto width = static_cast<int>(Width(field));
    absl::StrAppendFormat(&heading, "%*s  ", width, field.name);
    absl::StrAppendFormat(&row, "%*s  ", width, Text(field));
  }
  if (heading != heading_) out_ << "\n" << heading << "\n";
  heading_ = heading;
  out_ << row << "\n";
  out_.flush();
  lines_.push_back(std::move(line));
}

absl::Status Report::WriteJson(const std::string& path) const {
  boost::json::array lines;
  for (const Line& line : lines_) lines.push_back(Json(line));
  boost::json::object document;
  document["about"] = Json(about_);
  document["lines"] = std::move(lines);
  std::ofstream file(path);
  file << boost::json::serialize(document) << "\n";
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
  return absl::OkStatus();
}

}  // namespace skein::bench
