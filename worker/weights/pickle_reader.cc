#include "worker/weights/pickle_reader.h"

#include <array>
#include <optional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "worker/weights/pickle_globals.h"
#include "worker/weights/pickle_input.h"
#include "worker/weights/pickle_stack.h"
#include "worker/weights/pickle_values.h"

namespace skein {
namespace {

constexpr uint64_t kMaxPickleBytes = 64 << 20;
constexpr uint32_t kMaxStringBytes = 1 << 20;
constexpr size_t kMaxGlobalBytes = 256;
constexpr uint8_t kProtoCode = 0x80;

using Kind = PickleKind;

absl::string_view AsText(std::span<const std::byte> bytes) {
  return absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// The stack machine of pickle protocol 2.
class Machine {
 public:
  explicit Machine(std::span<const std::byte> pickle) : in_(pickle), values_(AsText(pickle)) {}

  absl::Status Run();
  absl::StatusOr<std::vector<PickledTensor>> Result() const;

 private:
  struct Opcode {
    const char* name = nullptr;
    absl::Status (Machine::*run)() = nullptr;
  };
  static std::array<Opcode, 256> MakeTable();

  absl::Status Step();

  absl::Status PushNumber(Kind kind, int64_t number) { return stack_.Push({kind, 0, number}); }
  absl::Status PushEmpty(Kind kind);
  absl::Status PushTuple(const std::vector<PickleValue>& items);
  absl::Status PushTupleOf(int count);

  // One per opcode.
  absl::Status Proto();
  absl::Status Stop();
  absl::Status Mark() { return stack_.Mark(); }
  absl::Status None() { return PushNumber(Kind::kNone, 0); }
  absl::Status True() { return PushNumber(Kind::kBool, 1); }
  absl::Status False() { return PushNumber(Kind::kBool, 0); }
  absl::Status SignedInteger();
  template <int kBytes>
  absl::Status Integer();
  absl::Status Long();
  absl::Status Float();
  absl::Status String();
  absl::Status EmptyTuple() { return PushTupleOf(0); }
  absl::Status Tuple1() { return PushTupleOf(1); }
  absl::Status Tuple2() { return PushTupleOf(2); }
  absl::Status Tuple3() { return PushTupleOf(3); }
  absl::Status Tuple();
  absl::Status EmptyList() { return PushEmpty(Kind::kList); }
  absl::Status EmptyDict() { return PushEmpty(Kind::kDict); }
  absl::Status Append();
  absl::Status Appends();
  absl::Status SetItem();
  absl::Status SetItems();
  template <int kBytes>
  absl::Status Put();
  template <int kBytes>
  absl::Status Get();
  absl::Status Global();
  absl::Status PersistentId();
  absl::Status Reduce();
  absl::Status Build();

  PickleInput in_;
  PickleValues values_;
  PickleStack stack_;
  PickleValue result_;  // kUnset until STOP
};

std::array<Machine::Opcode, 256> Machine::MakeTable() {
  std::array<Opcode, 256> table{};
  table[kProtoCode] = {"PROTO", &Machine::Proto};
  table['.'] = {"STOP", &Machine::Stop};
  table['('] = {"MARK", &Machine::Mark};
  table['N'] = {"NONE", &Machine::None};
  table[0x88] = {"NEWTRUE", &Machine::True};
  table[0x89] = {"NEWFALSE", &Machine::False};
  table['J'] = {"BININT", &Machine::SignedInteger};
  table['K'] = {"BININT1", &Machine::Integer<1>};
  table['M'] = {"BININT2", &Machine::Integer<2>};
  table[0x8a] = {"LONG1", &Machine::Long};
  table['G'] = {"BINFLOAT", &Machine::Float};
  table['X'] = {"BINUNICODE", &Machine::String};
  table[')'] = {"EMPTY_TUPLE", &Machine::EmptyTuple};
  table[0x85] = {"TUPLE1", &Machine::Tuple1};
  table[0x86] = {"TUPLE2", &Machine::Tuple2};
  table[0x87] = {"TUPLE3", &Machine::Tuple3};
  table['t'] = {"TUPLE", &Machine::Tuple};
  table[']'] = {"EMPTY_LIST", &Machine::EmptyList};
  table['}'] = {"EMPTY_DICT", &Machine::EmptyDict};
  table['a'] = {"APPEND", &Machine::Append};
  table['e'] = {"APPENDS", &Machine::Appends};
  table['s'] = {"SETITEM", &Machine::SetItem};
  table['u'] = {"SETITEMS", &Machine::SetItems};
  table['q'] = {"BINPUT", &Machine::Put<1>};
  table['r'] = {"LONG_BINPUT", &Machine::Put<4>};
  table['h'] = {"BINGET", &Machine::Get<1>};
  table['j'] = {"LONG_BINGET", &Machine::Get<4>};
  table['c'] = {"GLOBAL", &Machine::Global};
  table['Q'] = {"BINPERSID", &Machine::PersistentId};
  table['R'] = {"REDUCE", &Machine::Reduce};
  table['b'] = {"BUILD", &Machine::Build};
  return table;
}

absl::Status Machine::Run() {
  if (in_.size() > kMaxPickleBytes) {
    return absl::DataLossError(
        absl::StrCat("data.pkl has ", in_.size(), " bytes, expected at most ", kMaxPickleBytes));
  }
  while (result_.kind == Kind::kUnset) RETURN_IF_ERROR(Step());
  return absl::OkStatus();
}

absl::Status Machine::Step() {
  static const std::array<Opcode, 256> table = MakeTable();
  const uint64_t start = in_.position();
  if (start == in_.size()) {
    return absl::DataLossError(absl::StrCat("data.pkl ends at byte ", start, " without STOP"));
  }
  ASSIGN_OR_RETURN(const uint64_t code, in_.TakeInteger(1));
  if (start == 0 && code != kProtoCode) {
    return absl::DataLossError("data.pkl byte 0: does not start with PROTO");
  }
  const Opcode& opcode = table[code];
  if (opcode.run == nullptr) {
    return absl::DataLossError(
        absl::StrFormat("data.pkl byte %d: opcode 0x%02x is not known", start, code));
  }
  const absl::Status status = (this->*opcode.run)();
  if (status.ok()) return status;
  return absl::DataLossError(absl::StrCat("data.pkl byte ", start, ", ", opcode.name, ": ",
                                          std::string(status.message())));
}

absl::Status Machine::PushTuple(const std::vector<PickleValue>& items) {
  ASSIGN_OR_RETURN(const PickleValue tuple, values_.NewContainer(Kind::kTuple));
  for (const PickleValue item : items) RETURN_IF_ERROR(values_.Append(tuple, item));
  return stack_.Push(tuple);
}

absl::Status Machine::PushTupleOf(int count) {
  std::vector<PickleValue> items(count);
  for (int i = count - 1; i >= 0; --i) {
    ASSIGN_OR_RETURN(items[i], stack_.Pop());
  }
  return PushTuple(items);
}

absl::Status Machine::Proto() {
  ASSIGN_OR_RETURN(const uint64_t protocol, in_.TakeInteger(1));
  if (protocol == 2 && in_.position() == 2) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("protocol ", protocol, ", expected protocol 2 at byte 0"));
}

absl::Status Machine::Stop() {
  ASSIGN_OR_RETURN(result_, stack_.Single());
  return absl::OkStatus();
}

absl::Status Machine::SignedInteger() {
  ASSIGN_OR_RETURN(const uint64_t bits, in_.TakeInteger(4));
  return PushNumber(Kind::kInt, static_cast<int32_t>(static_cast<uint32_t>(bits)));
}

template <int kBytes>
absl::Status Machine::Integer() {
  ASSIGN_OR_RETURN(const uint64_t value, in_.TakeInteger(kBytes));
  return PushNumber(Kind::kInt, static_cast<int64_t>(value));
}

// A length, then that many bytes of two's complement.
absl::Status Machine::Long() {
  ASSIGN_OR_RETURN(const uint64_t length, in_.TakeInteger(1));
  const int bytes = static_cast<int>(length);
  if (bytes > 8) {
    return absl::DataLossError(absl::StrCat("integer of ", bytes, " bytes, expected at most 8"));
  }
  ASSIGN_OR_RETURN(const uint64_t bits, in_.TakeInteger(bytes));
  if (bytes == 0) return PushNumber(Kind::kInt, 0);
  const int unused = 64 - 8 * bytes;
  return PushNumber(Kind::kInt, static_cast<int64_t>(bits << unused) >> unused);
}

absl::Status Machine::Float() {
  RETURN_IF_ERROR(in_.TakeInteger(8).status());
  return PushNumber(Kind::kFloat, 0);  // nothing that is kept uses its value
}

absl::Status Machine::String() {
  ASSIGN_OR_RETURN(const uint64_t length, in_.TakeInteger(4));
  if (length > kMaxStringBytes) {
    return absl::DataLossError(
        absl::StrCat("string of ", length, " bytes, expected at most ", kMaxStringBytes));
  }
  const int64_t offset = static_cast<int64_t>(in_.position());
  RETURN_IF_ERROR(in_.TakeText(length).status());
  return stack_.Push({Kind::kString, static_cast<uint32_t>(length), offset});
}

absl::Status Machine::Tuple() {
  ASSIGN_OR_RETURN(const std::vector<PickleValue> items, stack_.PopToMark());
  return PushTuple(items);
}

absl::Status Machine::PushEmpty(Kind kind) {
  ASSIGN_OR_RETURN(const PickleValue container, values_.NewContainer(kind));
  return stack_.Push(container);
}

absl::Status Machine::Append() {
  ASSIGN_OR_RETURN(const PickleValue item, stack_.Pop());
  ASSIGN_OR_RETURN(const PickleValue list, stack_.TopOf(Kind::kList));
  return values_.Append(list, item);
}

absl::Status Machine::Appends() {
  ASSIGN_OR_RETURN(const std::vector<PickleValue> items, stack_.PopToMark());
  ASSIGN_OR_RETURN(const PickleValue list, stack_.TopOf(Kind::kList));
  for (const PickleValue item : items) RETURN_IF_ERROR(values_.Append(list, item));
  return absl::OkStatus();
}

absl::Status Machine::SetItem() {
  ASSIGN_OR_RETURN(const PickleValue value, stack_.Pop());
  ASSIGN_OR_RETURN(const PickleValue key, stack_.Pop());
  ASSIGN_OR_RETURN(const PickleValue dict, stack_.TopOf(Kind::kDict));
  return values_.SetItem(dict, key, value);
}

absl::Status Machine::SetItems() {
  ASSIGN_OR_RETURN(const std::vector<PickleValue> items, stack_.PopToMark());
  ASSIGN_OR_RETURN(const PickleValue dict, stack_.TopOf(Kind::kDict));
  if (items.size() % 2 != 0) {
    return absl::DataLossError(absl::StrCat(items.size(), " items, expected keys with values"));
  }
  for (size_t i = 0; i < items.size(); i += 2) {
    RETURN_IF_ERROR(values_.SetItem(dict, items[i], items[i + 1]));
  }
  return absl::OkStatus();
}

template <int kBytes>
absl::Status Machine::Put() {
  ASSIGN_OR_RETURN(const uint64_t index, in_.TakeInteger(kBytes));
  return stack_.Store(static_cast<uint32_t>(index));
}

template <int kBytes>
absl::Status Machine::Get() {
  ASSIGN_OR_RETURN(const uint64_t index, in_.TakeInteger(kBytes));
  return stack_.Fetch(static_cast<uint32_t>(index));
}

absl::Status Machine::Global() {
  ASSIGN_OR_RETURN(const absl::string_view module, in_.TakeLine(kMaxGlobalBytes));
  ASSIGN_OR_RETURN(const absl::string_view name, in_.TakeLine(kMaxGlobalBytes));
  const std::optional<int64_t> global = FindPickleGlobal(module, name);
  if (!global.has_value()) {
    return absl::DataLossError(absl::StrCat("global \"", absl::CHexEscape(module), ".",
                                            absl::CHexEscape(name), "\" is not allowed"));
  }
  return PushNumber(Kind::kGlobal, *global);
}

absl::Status Machine::PersistentId() {
  ASSIGN_OR_RETURN(const PickleValue id, stack_.Pop());
  ASSIGN_OR_RETURN(const PickleValue storage, LoadPersistentStorage(values_, id));
  return stack_.Push(storage);
}

absl::Status Machine::Reduce() {
  ASSIGN_OR_RETURN(const PickleValue arguments, stack_.Pop());
  ASSIGN_OR_RETURN(const PickleValue callable, stack_.Pop());
  ASSIGN_OR_RETURN(const PickleValue result, ReducePickle(values_, callable, arguments));
  return stack_.Push(result);
}

// Attributes of an OrderedDict, such as the _metadata of a module's state: not needed.
absl::Status Machine::Build() {
  RETURN_IF_ERROR(stack_.Pop().status());
  return stack_.TopOf(Kind::kDict).status();
}

absl::StatusOr<std::vector<PickledTensor>> Machine::Result() const {
  if (result_.kind != Kind::kDict) {
    return absl::DataLossError(absl::StrCat("data.pkl holds ", PickleKindName(result_.kind),
                                            ", expected a dict of tensors"));
  }
  const std::vector<PickleValue>& items = values_.Items(result_);
  if (items.size() / 2 > PickleValues::kMaxTensors) {
    return absl::DataLossError(absl::StrCat("data.pkl names ", items.size() / 2,
                                            " tensors, expected at most ",
                                            PickleValues::kMaxTensors));
  }
  std::vector<PickledTensor> result;
  absl::flat_hash_set<absl::string_view> names;
  for (size_t i = 0; i < items.size(); i += 2) {
    const absl::string_view name = values_.Text(items[i]);
    if (items[i + 1].kind != Kind::kTensor) {
      return absl::DataLossError(absl::StrCat("\"", absl::Utf8SafeCEscape(name), "\" is ",
                                              PickleKindName(items[i + 1].kind),
                                              ", expected a tensor"));
    }
    if (!names.insert(name).second) {
      return absl::DataLossError(
          absl::StrCat("tensor \"", absl::Utf8SafeCEscape(name), "\" appears twice"));
    }
    const PickleTensor& tensor = values_.Tensor(items[i + 1]);
    const PickleStorage& storage = values_.Storage(tensor.storage);
    result.push_back({name, values_.Text(storage.key), storage.dtype, storage.elements,
                      tensor.offset, tensor.sizes, tensor.strides});
  }
  return result;
}

}  // namespace

absl::StatusOr<std::vector<PickledTensor>> ReadPickle(std::span<const std::byte> pickle) {
  Machine machine(pickle);
  RETURN_IF_ERROR(machine.Run());
  return machine.Result();
}

}  // namespace skein
