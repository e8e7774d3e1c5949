// Reading sizes from a checkpoint: tensor shapes and config.json. Used while a model loads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/tensor/shape.h"
#include "worker/weights/model_files.h"

namespace skein {

// The shape of `name` without leading extents of 1, of exactly `rank` dimensions (padded with
// leading ones again if a true extent is 1). DataLoss if the tensor is missing or has another rank.
absl::StatusOr<Shape> TensorShape(const ModelFiles& files, absl::string_view name, int rank);

// One more than the largest i in names `prefix`i.`rest`; 0 if there are none. DataLoss if a smaller
// i is missing, or i is no sensible number.
absl::StatusOr<int64_t> CountLayers(const ModelFiles& files, absl::string_view prefix);

// Whether any tensor's name contains `part`.
bool AnyNameContains(const ModelFiles& files, absl::string_view part);

// The members of config.json. A key that is absent or null gives nullopt; a value of another kind
// is DataLoss.
class ModelConfig {
 public:
  // DataLoss if `text` is neither empty nor a JSON object.
  static absl::StatusOr<ModelConfig> Parse(const std::string& text);
  ~ModelConfig();
  ModelConfig(ModelConfig&&) noexcept;
  ModelConfig& operator=(ModelConfig&&) noexcept;

  absl::StatusOr<std::optional<int64_t>> Integer(absl::string_view key) const;
  absl::StatusOr<std::optional<double>> Number(absl::string_view key) const;
  absl::StatusOr<std::optional<bool>> Boolean(absl::string_view key) const;
  absl::StatusOr<std::optional<std::string>> String(absl::string_view key) const;
  absl::StatusOr<std::optional<std::vector<int64_t>>> Integers(absl::string_view key) const;
  // The object below `key` as a config of its own; empty if there is none.
  ModelConfig Section(absl::string_view key) const;

 private:
  struct Object;
  explicit ModelConfig(std::unique_ptr<Object> object);
  std::unique_ptr<Object> object_;
};

}  // namespace skein
