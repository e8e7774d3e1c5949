// The values that a pickle builds. They lie in flat pools and name each other by index, so that
// neither depth nor cycles in hostile input can reach the call stack, not even when all is
// destroyed.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"

namespace skein {

enum class PickleKind : uint8_t {
  kUnset,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kTuple,
  kList,
  kDict,
  kGlobal,
  kStorage,
  kTensor,
};
absl::string_view PickleKindName(PickleKind kind);  // "a tuple"

struct PickleValue {
  PickleKind kind = PickleKind::kUnset;
  uint32_t length = 0;  // of a string
  int64_t number =
      0;  // an integer's value; a string's offset in the pickle; else an index into a pool
};

struct PickleStorage {
  DType dtype = DType::kF32;
  PickleValue key;  // a string
  int64_t elements = 0;
};

struct PickleTensor {
  int64_t storage = 0;  // index
  int64_t offset = 0;
  Shape sizes;
  Shape strides;
};

class PickleValues {
 public:
  static constexpr size_t kMaxContainers = 1 << 20;
  static constexpr size_t kMaxItems = 4 << 20;  // in all containers
  static constexpr size_t kMaxTensors = 100'000;
  static constexpr int kMaxDepth = 100;

  explicit PickleValues(absl::string_view pickle) : pickle_(pickle) {}

  // A new empty tuple, list or dict. DataLoss beyond the limits, as with all that follow.
  absl::StatusOr<PickleValue> NewContainer(PickleKind kind);
  // A dict's items are keys and values by turns.
  absl::Status Append(PickleValue container, PickleValue item);
  absl::Status SetItem(PickleValue dict, PickleValue key, PickleValue value);
  absl::StatusOr<PickleValue> NewStorage(PickleStorage storage);
  absl::StatusOr<PickleValue> NewTensor(PickleTensor tensor);

  const std::vector<PickleValue>& Items(PickleValue container) const {
    return containers_[container.number].items;
  }
  const PickleStorage& Storage(int64_t index) const { return storages_[index]; }
  const PickleTensor& Tensor(PickleValue value) const { return tensors_[value.number]; }
  absl::string_view Text(PickleValue string) const {
    return pickle_.substr(string.number, string.length);
  }

 private:
  struct Container {
    std::vector<PickleValue> items;
    int depth = 0;  // at least 1 + that of each item when it was put in
  };

  absl::string_view pickle_;
  std::vector<Container> containers_;
  std::vector<PickleStorage> storages_;
  std::vector<PickleTensor> tensors_;
  size_t num_items_ = 0;
};

}  // namespace skein
