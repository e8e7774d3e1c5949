#include "worker/weights/pickle_globals.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/weights/tensor_entry.h"

namespace skein {
namespace {

using Kind = PickleKind;
using Items = std::vector<PickleValue>;

absl::StatusOr<PickleValue> MakeOrderedDict(PickleValues& values, const Items& arguments);
absl::StatusOr<PickleValue> MakeTensor(PickleValues& values, const Items& arguments);
absl::StatusOr<PickleValue> MakeParameter(PickleValues& values, const Items& arguments);

struct Global {
  absl::string_view module;
  absl::string_view name;
  absl::StatusOr<PickleValue> (*reduce)(PickleValues&, const Items&);  // null for storage types
  DType dtype;                                                         // of a storage type
};

constexpr Global kGlobals[] = {
    {"collections", "OrderedDict", MakeOrderedDict, {}},
    {"torch._utils", "_rebuild_tensor_v2", MakeTensor, {}},
    {"torch._utils", "_rebuild_parameter", MakeParameter, {}},
    {"torch", "FloatStorage", nullptr, DType::kF32},
    {"torch", "HalfStorage", nullptr, DType::kF16},
    {"torch", "BFloat16Storage", nullptr, DType::kBF16},
    {"torch", "DoubleStorage", nullptr, DType::kF64},
    {"torch", "LongStorage", nullptr, DType::kI64},
    {"torch", "IntStorage", nullptr, DType::kI32},
    {"torch", "ShortStorage", nullptr, DType::kI16},
    {"torch", "CharStorage", nullptr, DType::kI8},
    {"torch", "ByteStorage", nullptr, DType::kU8},
    {"torch", "BoolStorage", nullptr, DType::kBool},
};

absl::Status Expect(bool condition, absl::string_view what) {
  if (condition) return absl::OkStatus();
  return absl::DataLossError(what);
}

// A pair of a list of pairs: a tuple of two.
absl::Status SetPair(PickleValues& values, PickleValue dict, PickleValue pair) {
  RETURN_IF_ERROR(Expect(pair.kind == Kind::kTuple && values.Items(pair).size() == 2,
                         "OrderedDict: an item is not a pair"));
  const PickleValue key = values.Items(pair)[0];
  const PickleValue value = values.Items(pair)[1];
  return values.SetItem(dict, key, value);
}

absl::StatusOr<PickleValue> MakeOrderedDict(PickleValues& values, const Items& arguments) {
  ASSIGN_OR_RETURN(const PickleValue dict, values.NewContainer(Kind::kDict));
  if (arguments.empty()) return dict;
  RETURN_IF_ERROR(Expect(arguments.size() == 1 && arguments[0].kind == Kind::kList,
                         "OrderedDict: expected no argument, or a list of pairs"));
  const Items pairs = values.Items(arguments[0]);
  for (const PickleValue pair : pairs) RETURN_IF_ERROR(SetPair(values, dict, pair));
  return dict;
}

absl::StatusOr<Shape> ReadIntegers(const PickleValues& values, PickleValue tuple,
                                   absl::string_view what) {
  if (tuple.kind != Kind::kTuple || values.Items(tuple).size() > kMaxRank) {
    return absl::DataLossError(
        absl::StrCat("tensor: ", what, " is not a tuple of at most ", kMaxRank, " integers"));
  }
  Shape result;
  for (const PickleValue item : values.Items(tuple)) {
    if (item.kind != Kind::kInt) {
      return absl::DataLossError(
          absl::StrCat("tensor: ", what, " holds ", PickleKindName(item.kind)));
    }
    result.push_back(item.number);
  }
  return result;
}

// (storage, offset, size, stride, requires_grad, backward_hooks[, metadata])
absl::StatusOr<PickleValue> MakeTensor(PickleValues& values, const Items& arguments) {
  RETURN_IF_ERROR(
      Expect(arguments.size() == 6 || arguments.size() == 7, "tensor: expected 6 or 7 arguments"));
  RETURN_IF_ERROR(
      Expect(arguments[0].kind == Kind::kStorage, "tensor: first argument is not a storage"));
  RETURN_IF_ERROR(Expect(arguments[1].kind == Kind::kInt, "tensor: offset is not an integer"));
  PickleTensor tensor{arguments[0].number, arguments[1].number, {}, {}};
  ASSIGN_OR_RETURN(tensor.sizes, ReadIntegers(values, arguments[2], "size"));
  ASSIGN_OR_RETURN(tensor.strides, ReadIntegers(values, arguments[3], "stride"));
  if (tensor.sizes.size() != tensor.strides.size()) {
    return absl::DataLossError(absl::StrCat("tensor: size ", ShapeString(tensor.sizes),
                                            " and stride ", ShapeString(tensor.strides),
                                            " differ in length"));
  }
  return values.NewTensor(std::move(tensor));
}

// (tensor, requires_grad, backward_hooks)
absl::StatusOr<PickleValue> MakeParameter(PickleValues&, const Items& arguments) {
  RETURN_IF_ERROR(Expect(arguments.size() == 3 && arguments[0].kind == Kind::kTensor,
                         "parameter: expected a tensor and two more arguments"));
  return arguments[0];
}

}  // namespace

std::optional<int64_t> FindPickleGlobal(absl::string_view module, absl::string_view name) {
  for (size_t i = 0; i < std::size(kGlobals); ++i) {
    if (kGlobals[i].module == module && kGlobals[i].name == name) return static_cast<int64_t>(i);
  }
  return std::nullopt;
}

absl::StatusOr<PickleValue> ReducePickle(PickleValues& values, PickleValue callable,
                                         PickleValue arguments) {
  if (callable.kind != Kind::kGlobal || kGlobals[callable.number].reduce == nullptr) {
    return absl::DataLossError(absl::StrCat("calls ",
                                            callable.kind == Kind::kGlobal
                                                ? absl::string_view("a storage type")
                                                : PickleKindName(callable.kind),
                                            ", which cannot be called"));
  }
  if (arguments.kind != Kind::kTuple) {
    return absl::DataLossError(
        absl::StrCat("arguments are ", PickleKindName(arguments.kind), ", expected a tuple"));
  }
  const Items items = values.Items(arguments);  // a copy: the pool may grow below
  return kGlobals[callable.number].reduce(values, items);
}

absl::StatusOr<PickleValue> LoadPersistentStorage(PickleValues& values, PickleValue id) {
  RETURN_IF_ERROR(Expect(id.kind == Kind::kTuple && values.Items(id).size() == 5,
                         "persistent id is not a tuple of 5"));
  const Items& items = values.Items(id);
  RETURN_IF_ERROR(Expect(items[0].kind == Kind::kString && values.Text(items[0]) == "storage",
                         "persistent id does not start with \"storage\""));
  RETURN_IF_ERROR(
      Expect(items[1].kind == Kind::kGlobal && kGlobals[items[1].number].reduce == nullptr,
             "storage: type is not a storage type"));
  RETURN_IF_ERROR(Expect(items[2].kind == Kind::kString, "storage: key is not a string"));
  RETURN_IF_ERROR(Expect(items[3].kind == Kind::kString, "storage: location is not a string"));
  RETURN_IF_ERROR(Expect(items[4].kind == Kind::kInt && items[4].number >= 0,
                         "storage: number of elements is not a non-negative integer"));
  return values.NewStorage({kGlobals[items[1].number].dtype, items[2], items[4].number});
}

}  // namespace skein
