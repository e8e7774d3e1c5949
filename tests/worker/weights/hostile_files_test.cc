// Damaged and hostile files: each gets its error, quickly and in little memory, and the process
// lives.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <sys/resource.h>

#include "absl/strings/str_cat.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/golden.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "worker/weights/model_files.h"
#include "worker/weights/pth_file.h"
#include "worker/weights/safetensors_file.h"

namespace skein {
namespace {

using ::testing::ContainsRegex;
using Code = absl::StatusCode;

struct Refusal {
  const char* file;
  Code code;
  const char* message;  // regular expression
};

constexpr Refusal kBadFiles[] = {
    {"bad_dtype.safetensors", Code::kDataLoss,
     "tensor \"a\": field \"dtype\" \"Q7\" is not a known type"},
    {"begin_after_end.safetensors", Code::kDataLoss, "tensor \"a\": data_offsets .96, 0."},
    {"byteorder_big.pth", Code::kUnimplemented, "byteorder \"big\", expected \"little\""},
    {"central_dir_offset_out_of_file.pth", Code::kDataLoss,
     "zip directory of 183 bytes at byte 4294967040"},
    {"cut_in_half.pth", Code::kDataLoss, "no zip end record.* 336"},
    {"deep_json.safetensors", Code::kDataLoss, "safetensors header: "},
    {"deep_nesting.pth", Code::kDataLoss, "byte 200103, TUPLE: values are nested deeper than 100"},
    {"deflated.pth", Code::kUnimplemented, "\"archive/data.pkl\" is compressed .method 8."},
    {"duplicate_key.safetensors", Code::kDataLoss, "key \"a\" appears twice"},
    {"duplicate_name.pth", Code::kDataLoss, "tensor \"a.weight\" appears twice"},
    {"empty_pickle.pth", Code::kDataLoss, "data.pkl ends at byte 0 without STOP"},
    {"end_past_file.safetensors", Code::kDataLoss,
     "tensor \"a\": data_offsets .0, 120., expected.*96 bytes"},
    {"global_builtins_eval.pth", Code::kDataLoss, "byte 43, GLOBAL: global \"builtins.eval\""},
    {"global_os.pth", Code::kDataLoss, "byte 43, GLOBAL: global \"os.getcwd\""},
    {"global_stack.pth", Code::kDataLoss, "byte 0, PROTO: protocol 4"},
    {"header_len_huge.safetensors", Code::kDataLoss, "header length 4611686018427387904 at byte 0"},
    {"header_len_past_end.safetensors", Code::kDataLoss, "header length 1000000 at byte 0"},
    {"hole.safetensors", Code::kDataLoss, "tensor \"a\": starts at data byte 16, after a gap"},
    {"huge_long1.pth", Code::kDataLoss, "byte 2, LONG1: integer of 255 bytes"},
    {"huge_string.pth", Code::kDataLoss, "byte 2, BINUNICODE: string of 2147483647 bytes"},
    {"key_traversal.pth", Code::kDataLoss,
     "tensor \"a.weight\": storage \"../../data/0\" is not in the archive"},
    {"legacy_format.pth", Code::kUnimplemented, "before version 1.6"},
    {"local_header_out_of_file.pth", Code::kDataLoss,
     "\"archive/data.pkl\": no local header at byte 2147483647"},
    {"memo_missing.pth", Code::kDataLoss, "byte 2, BINGET: memo 99 was never stored"},
    {"missing_storage.pth", Code::kDataLoss,
     "tensor \"a.weight\": storage \"7\" is not in the archive"},
    {"negative_offset.pth", Code::kDataLoss, "tensor \"a.weight\": offset -1 "},
    {"negative_shape.safetensors", Code::kDataLoss,
     "tensor \"a\": shape .-4, -6. has a negative extent"},
    {"negative_size.pth", Code::kDataLoss,
     "tensor \"a.weight\": shape .-4, 6. has a negative extent"},
    {"negative_stride.pth", Code::kDataLoss, "tensor \"a.weight\": .*stride .-6, 1."},
    {"no_data_pkl.pth", Code::kDataLoss, "no data.pkl"},
    {"no_end_record.pth", Code::kDataLoss, "no zip end record.* 713"},
    {"no_mark.pth", Code::kDataLoss, "byte 2, TUPLE: no mark"},
    {"non_string_key.pth", Code::kDataLoss, "byte 7, SETITEM: dict key is an integer"},
    {"not_a_dict.pth", Code::kDataLoss, "holds an integer, expected a dict"},
    {"not_json.safetensors", Code::kDataLoss, "not valid JSON at byte 6"},
    {"numel_larger_than_file.pth", Code::kDataLoss,
     "tensor \"a.weight\": storage \"0\" has 24 elements of F32, expected 48"},
    {"offset_beyond_storage.pth", Code::kDataLoss,
     "tensor \"a.weight\": .* at offset 1 reaches beyond storage \"0\""},
    {"overflow_offset.pth", Code::kDataLoss,
     "tensor \"a.weight\": .* at offset 9223372036854775807 reaches beyond"},
    {"overflow_product.pth", Code::kDataLoss,
     "tensor \"a.weight\": shape .8589934592, 2147483648. has more than"},
    {"overflow_shape.safetensors", Code::kDataLoss,
     "tensor \"a\": shape .8589934592, 2147483648. has more than"},
    {"overlap.safetensors", Code::kDataLoss,
     "tensor \"b\": starts at data byte 0, inside another tensor"},
    {"rank_mismatch.pth", Code::kDataLoss, "byte 169, REDUCE: .*differ in length"},
    {"reduce_on_string.pth", Code::kDataLoss, "byte 50, REDUCE: calls a string"},
    {"size_beyond_storage.pth", Code::kDataLoss,
     "tensor \"a.weight\": shape .5, 6..*reaches beyond storage \"0\" of 24"},
    {"size_mismatch.safetensors", Code::kDataLoss,
     "tensor \"a\": data_offsets span 96 bytes, .*needs 80"},
    {"stack_underflow.pth", Code::kDataLoss, "byte 2, REDUCE: the stack is empty"},
    {"storage_short.pth", Code::kDataLoss,
     "tensor \"a.weight\": storage \"0\" has 22 elements of F32, expected 24"},
    {"stride_beyond_storage.pth", Code::kDataLoss,
     "tensor \"a.weight\": .*stride .7, 1..*reaches beyond"},
    {"text.pth", Code::kDataLoss, "no zip end record.* 25"},
    {"too_short.safetensors", Code::kDataLoss, "file of 3 bytes is too short"},
    {"truncated_pickle.pth", Code::kDataLoss, "byte 143, GLOBAL: no end of line"},
    {"unknown_opcode.pth", Code::kDataLoss, "byte 2: opcode 0xfe is not known"},
    {"unknown_storage_type.pth", Code::kDataLoss,
     "byte 90, GLOBAL: global \"torch.ComplexFloatStorage\""},
    {"zero_bytes.pth", Code::kDataLoss, "no zip end record.* 0;"},
};

int64_t PeakResidentKib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

void ExpectRefused(const std::string& path, Code code, const std::string& message) {
  const auto files = ModelFiles::Open(path);
  ASSERT_EQ(files.status().code(), code) << files.status();
  const std::string text(files.status().message());
  EXPECT_THAT(text, ContainsRegex(message));
  EXPECT_EQ(text.rfind(path, 0), 0u) << "the message starts with the file: " << text;
  EXPECT_LT(text.size(), 4096u);
}

TEST(HostileFilesTest, RefusesEachBadFileWithItsReason) {
  const auto folder = GoldenPath("rwkv/container/bad");
  if (!folder) GTEST_SKIP() << "no golden data";
  for (const Refusal& refusal : kBadFiles) {
    SCOPED_TRACE(refusal.file);
    ExpectRefused(absl::StrCat(*folder, "/", refusal.file), refusal.code, refusal.message);
  }
}

TEST(HostileFilesTest, KnowsEveryBadFile) {
  const auto folder = GoldenPath("rwkv/container/bad");
  if (!folder) GTEST_SKIP() << "no golden data";
  std::set<std::string> listed;
  for (const Refusal& refusal : kBadFiles) listed.insert(refusal.file);
  std::set<std::string> present;
  for (const auto& file : std::filesystem::directory_iterator(*folder)) {
    present.insert(file.path().filename().string());
  }
  EXPECT_EQ(present, listed);
}

TEST(HostileFilesTest, RefusesQuicklyAndInLittleMemory) {
  const auto folder = GoldenPath("rwkv/container/bad");
  if (!folder) GTEST_SKIP() << "no golden data";
  const int64_t before = PeakResidentKib();
  const auto start = std::chrono::steady_clock::now();
  for (const Refusal& refusal : kBadFiles) {
    EXPECT_FALSE(ModelFiles::Open(absl::StrCat(*folder, "/", refusal.file)).ok());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count(), 5.0);  // milliseconds without sanitizers
  EXPECT_LT(PeakResidentKib() - before, 64 << 10);
}

std::string Tensors(const std::string& fields) { return absl::StrCat("{\"a\": {", fields, "}}"); }

TEST(HostileFilesTest, RefusesSafetensorsHeadersThatBreakARule) {
  const std::string good = R"("dtype": "U8", "shape": [4], "data_offsets": [0, 4])";
  const TempFolder folder;
  ASSERT_TRUE(
      ModelFiles::Open(folder.Write("good.safetensors", SafetensorsBytes(Tensors(good), "1234")))
          .ok());
  for (
      const auto& [header, message] : std::vector<std::pair<std::string, std::string>>{
          {"", "not valid JSON at byte 0"},
          {"null", "its top is not an object"},
          {Tensors(good) + "x", "not valid JSON at byte"},
          {"{\"a\": 1}", "tensor \"a\" is not a JSON object"},
          {"{\"a\": []}", "tensor \"a\" is not a JSON object"},
          {"{\"__metadata__\": 1}", "__metadata__ is not a JSON object"},
          {"{\"__metadata__\": {\"k\": 1}}", "__metadata__ holds a value that is not a string"},
          {"{\"__metadata__\": {\"k\": {}}}", "__metadata__ holds a value that is not a string"},
          {"{\"__metadata__\": {\"k\": \"1\", \"k\": \"2\"}}", "key \"k\" appears twice"},
          {Tensors(good + R"(, "dtype": "I8")"), "key \"dtype\" appears twice"},
          {Tensors(good + R"(, "extra": 1)"), "field \"extra\" is not a known field"},
          {Tensors(R"("shape": [4], "data_offsets": [0, 4])"), "tensor \"a\" has no dtype"},
          {Tensors(R"("dtype": "U8", "data_offsets": [0, 4])"), "tensor \"a\" has no shape"},
          {Tensors(R"("dtype": "U8", "shape": [4])"), "tensor \"a\" has no pair of data_offsets"},
          {Tensors(R"("dtype": "U8", "shape": [4], "data_offsets": [0])"),
           "no pair of data_offsets"},
          {Tensors(R"("dtype": "U8", "shape": [4], "data_offsets": [0, 4, 4])"),
           "no pair of data_offsets"},
          {Tensors(R"("dtype": 7, "shape": [4], "data_offsets": [0, 4])"),
           "field \"dtype\" is not a string"},
          {Tensors(R"("dtype": "U8", "shape": 4, "data_offsets": [0, 4])"),
           "field \"shape\" is not a list"},
          {Tensors(R"("dtype": "U8", "shape": {}, "data_offsets": [0, 4])"),
           "field \"shape\" is not a list"},
          {Tensors(R"("dtype": "U8", "shape": [4.0], "data_offsets": [0, 4])"),
           "\"shape\" holds something"},
          {Tensors(R"("dtype": "U8", "shape": [[4]], "data_offsets": [0, 4])"),
           "\"shape\" holds something"},
          {Tensors(R"("dtype": "U8", "shape": [18446744073709551615], "data_offsets": [0, 4])"),
           "\"shape\" holds something"},
          {Tensors(R"("dtype": "U8", "shape": [1,1,1,1,1,1,1,1,4], "data_offsets": [0, 4])"),
           "\"shape\" has over 8 items"},
          {Tensors(
               R"("dtype": "U8", "shape": [0, 9223372036854775807, 9223372036854775807], "data_offsets": [0, 0])"),
           "has more than 68719476736 elements"},
          {Tensors(R"("dtype": "U8", "shape": [3], "data_offsets": [0, 3])"),
           "end at data byte 3 of 4"},
          {Tensors(R"("dtype": "U8", "shape": [3], "data_offsets": [-3, 0])"),
           "data_offsets .-3, 0."},
          {"{\"a\xff\": {" + good + "}}", "not valid JSON"},
          {"{\"__metadata__\": {\"k\": \"v\"}, \"a\": [[[[[[[[[[",
           "tensor \"a\" is not a JSON object"},
      }) {
    SCOPED_TRACE(header);
    ExpectRefused(folder.Write("bad.safetensors", SafetensorsBytes(header, "1234")),
                  Code::kDataLoss, message);
  }
}

// Pieces of pickles.
std::string Text(const std::string& text) {
  std::string length(4, '\0');
  for (int i = 0; i < 4; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
  return absl::StrCat("X", length, text);
}
std::string Storage(const std::string& type, const std::string& key, uint8_t elements) {
  return absl::StrCat("(", Text("storage"), "c", type, "\n", Text(key), Text("cpu"), "K",
                      std::string(1, static_cast<char>(elements)), "tQ");
}
std::string Numbers(const std::vector<int>& numbers) {
  std::string text = "(";
  for (const int number : numbers)
    absl::StrAppend(&text, "K", std::string(1, static_cast<char>(number)));
  return text + "t";
}
std::string Tensor(const std::string& storage, const std::vector<int>& sizes,
                   const std::vector<int>& strides) {
  return absl::StrCat("ctorch._utils\n_rebuild_tensor_v2\n(", storage, "K", std::string(1, '\0'),
                      Numbers(sizes), Numbers(strides), "\x89", "}", "tR");
}
std::string Repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(HostileFilesTest, RefusesPicklesThatBreakARule) {
  const std::string proto = "\x80\x02";
  const std::string floats = Storage("torch\nFloatStorage", "0", 8);
  const std::string good = Tensor(floats, {2, 4}, {4, 1});
  const TempFolder folder;
  const auto pickled = [&](const std::string& value) {
    return absl::StrCat(proto, "}", Text("a"), value, "s.");
  };
  const std::string storage(32, '\0');
  ASSERT_TRUE(ModelFiles::Open(folder.Write("good.pth", PthBytes(pickled(good), storage))).ok());
  for (const auto& [pickle, message] : std::vector<std::pair<std::string, std::string>>{
           {"}.", "byte 0: does not start with PROTO"},
           {proto + proto + "}.", "byte 2, PROTO: protocol 2, expected protocol 2 at byte 0"},
           {proto + "}}.", "byte 4, STOP: 2 values and 0 marks are left"},
           {proto + "}(.", "STOP: 1 values and 1 marks are left"},
           {proto + "(}t", "ends at byte 5 without STOP"},
           {proto + "}(" + Text("a") + "u.", "SETITEMS: 1 items, expected keys with values"},
           {proto + "](NNu.", "SETITEMS: found a list, expected a dict"},
           {proto + "}Na.", "APPEND: found a dict, expected a list"},
           {proto + "(R", "REDUCE: the stack is empty"},
           {proto + "}r\xff\xff\xff\x7f.",
            "LONG_BINPUT: memo 2147483647, expected less than 1000000"},
           {proto + "h", "BINGET: wants 1 bytes"},
           {proto + "J\x01\x02", "BININT: wants 4 bytes"},
           {proto + "G1234567", "BINFLOAT: wants 8 bytes"},
           {proto + "\x8a\x08"
                    "1234567",
            "LONG1: wants 8 bytes"},
           {proto + "X\x05", "BINUNICODE: wants 4 bytes"},
           {proto + "c" + std::string(300, 'm') + "\nn\n.",
            "GLOBAL: no end of line within 256 bytes"},
           {proto + "ctorch\nFloatStorage\n)R.", "REDUCE: calls a storage type"},
           {proto + "ccollections\nOrderedDict\nNR.",
            "REDUCE: arguments are None, expected a tuple"},
           {proto + "ccollections\nOrderedDict\nN\x85R.", "OrderedDict: expected no argument"},
           {proto + "ccollections\nOrderedDict\n](Ne\x85R.", "OrderedDict: an item is not a pair"},
           {proto + "]Nb.", "BUILD: found a list, expected a dict"},
           {proto + "NQ.", "BINPERSID: persistent id is not a tuple of 5"},
           {pickled("K\x01"), "\"a\" is an integer, expected a tensor"},
           {pickled(floats), "\"a\" is a storage, expected a tensor"},
           {pickled(Tensor("N", {2}, {1})), "first argument is not a storage"},
           {pickled("ctorch._utils\n_rebuild_tensor_v2\n)R"), "expected 6 or 7 arguments"},
           {pickled("ctorch._utils\n_rebuild_parameter\n(N\x89}tR"),
            "parameter: expected a tensor"},
           {pickled(Tensor(floats, std::vector<int>(9, 1), std::vector<int>(9, 1))),
            "size is not a tuple of at most 8 integers"},
           {pickled(Tensor(Storage("collections\nOrderedDict", "0", 8), {2}, {1})),
            "BINPERSID: storage: type is not a storage type"},
           {pickled(Tensor(Storage("torch\nDoubleStorage", "0", 8), {2}, {1})),
            "tensor \"a\": storage \"0\" has 4 elements of F64, expected 8"},
           {pickled(Tensor(Storage("torch\nFloatStorage", "0/", 8), {2}, {1})),
            "storage \"0/\" is not in the archive"},
           {pickled(Tensor(Storage("torch\nFloatStorage", std::string(1000, '0'), 8), {2}, {1})),
            "storage \"0+\" is not in the archive"},
           {pickled(Tensor(floats, {255, 255, 255, 255}, {0, 0, 0, 0})),
            "tensors are far larger than the file"},
           {pickled(Tensor(floats, {255, 255, 255, 255, 255}, {0, 0, 0, 0, 0})),
            "has more than 68719476736 elements"},
           {proto + "]q\x01h\x01" + Repeat("ah\x01", 150) + ".",
            "APPEND: values are nested deeper than 100"},
           {proto + Repeat("(", 1'000'001), "MARK: more than 1000000 marks"},
           {proto + Repeat("N", 1'000'001), "NONE: more than 1000000 values"},
           {proto + "(" + Repeat(")\x85", 600'000), "more than 1048576 containers"},
           {proto + "]q\x01" + Repeat("(" + Repeat("NNNNNNNN", 4096) + "e", 129),
            "APPENDS: more than 4194304 items"},
       }) {
    SCOPED_TRACE(absl::StrCat(pickle.substr(2, 60), " -> ", message));
    ExpectRefused(folder.Write("bad.pth", PthBytes(pickle, storage)), Code::kDataLoss, message);
  }
}

TEST(HostileFilesTest, RefusesZipArchivesThatBreakARule) {
  const std::string pickle = "\x80\x02}.";
  const std::string two_entries = ZipBytes({{"x/data.pkl", pickle}, {"x/data/0", "1234"}});
  const TempFolder folder;
  ASSERT_TRUE(ModelFiles::Open(folder.Write("good.pth", two_entries)).ok());
  const size_t directory = two_entries.find("PK\x01\x02");
  const auto changed = [&](size_t at, char value) {
    std::string copy = two_entries;
    copy[at] = value;
    return copy;
  };
  const size_t end = two_entries.size() - 22;
  struct Case {
    std::string bytes;
    Code code;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {ZipBytes({}), Code::kDataLoss, "no data.pkl in a folder"},
           {ZipBytes({{"data.pkl", pickle}}), Code::kDataLoss, "no data.pkl in a folder"},
           {ZipBytes({{"x/data.pkl", pickle}, {"y/data.pkl", pickle}}), Code::kDataLoss,
            "several data.pkl"},
           {ZipBytes({{"x/data.pkl", pickle}, {"x/data/data.pkl", pickle}}), Code::kDataLoss,
            "several data.pkl"},
           {ZipBytes({{"x/data.pkl", pickle}, {"y/data/0", ""}}), Code::kDataLoss,
            "\"y/data/0\" is outside the folder \"x/\""},
           {ZipBytes({{"x/data.pkl", pickle}, {"x/1", ""}, {"x/1", ""}}), Code::kDataLoss,
            "\"x/1\" appears twice"},
           {changed(directory + 8, 1), Code::kUnimplemented, "\"x/data.pkl\" is encrypted"},
           {changed(directory + 20, 5), Code::kDataLoss,
            "\"x/data.pkl\": stored as 5 bytes, expected 4"},
           {changed(directory + 46, 'z'), Code::kDataLoss,
            "\"z/data.pkl\": local header at byte 0 has another name"},
           {changed(directory + 42, 1), Code::kDataLoss,
            "\"x/data.pkl\": no local header at byte 1"},
           {changed(directory, 'Q'), Code::kDataLoss, "no zip directory entry at byte"},
           {changed(directory + 32, 100), Code::kDataLoss, "directory entry at byte .* is cut off"},
           {changed(end + 10, 1), Code::kUnimplemented, "in several parts"},
           {changed(end + 4, 1), Code::kUnimplemented, "in several parts"},
           {changed(end + 12, 1), Code::kDataLoss, "zip directory|no zip"},
           {changed(end + 20, 1), Code::kDataLoss, "no zip end record"},
           {changed(end + 10, '\xff').replace(end + 11, 1, "\xff"), Code::kDataLoss,
            "no zip64 locator"},
           {two_entries + "x", Code::kDataLoss, "no zip end record"},
       }) {
    SCOPED_TRACE(c.message);
    ExpectRefused(folder.Write("bad.pth", c.bytes), c.code, c.message);
  }
  // The first entry's content is made to reach into the second's.
  std::string overlap = changed(directory + 20, 44);
  overlap[directory + 24] = 44;
  ExpectRefused(folder.Write("bad.pth", overlap), Code::kDataLoss,
                "\"x/data/0\" overlaps zip entry \"x/data.pkl\"");
}

// Flipped bits, overwritten bytes and cuts must never do more than give an error, or other numbers.
// The bytes lie in a block of their exact size, so that asan sees every step beyond.
TEST(HostileFilesTest, SurvivesRandomDamage) {
  struct Original {
    bool torch;
    std::string bytes;
  };
  std::vector<Original> originals;
  for (const char* name :
       {"views.pth", "zip64.pth", "module_state_dict.pth", "otherdtypes.pth", "newer_entries.pth",
        "views.expect.safetensors", "otherdtypes.expect.safetensors"}) {
    const auto path = GoldenPath(absl::StrCat("rwkv/container/", name));
    if (!path) GTEST_SKIP() << "no golden data";
    originals.push_back({path->ends_with(".pth"), ReadFileOrDie(*path)});
  }
  std::mt19937_64 random(20240807);
  const auto below = [&](size_t limit) {
    return std::uniform_int_distribution<size_t>(0, limit - 1)(random);
  };
  int opened = 0;
  constexpr int kRounds = 20000;
  for (int round = 0; round < kRounds; ++round) {
    const Original& original = originals[round % originals.size()];
    std::string damaged = original.bytes;
    const size_t edits = 1 + below(4);
    for (size_t i = 0; i < edits; ++i) {
      char& byte = damaged[below(damaged.size())];
      byte = static_cast<char>(below(2) == 0 ? byte ^ (1 << below(8)) : below(256));
    }
    if (below(8) == 0) damaged.resize(below(damaged.size()));
    const auto block = std::make_unique<std::byte[]>(damaged.size());
    std::memcpy(block.get(), damaged.data(), damaged.size());
    const std::span<const std::byte> bytes(block.get(), damaged.size());
    const auto tensors = original.torch ? ReadPth(bytes) : ReadSafetensors(bytes);
    if (!tensors.ok()) {
      EXPECT_FALSE(tensors.status().message().empty());
      continue;
    }
    ++opened;
    for (const NamedTensor& tensor : *tensors) {
      std::vector<std::byte> copy(NumElements(tensor.entry.shape) * DTypeBytes(tensor.entry.dtype));
      CopyElements(tensor.entry, copy.data());
    }
  }
  EXPECT_GT(opened, kRounds / 20);  // else the damage is too coarse to test what comes later
  EXPECT_LT(opened, kRounds);
}

}  // namespace
}  // namespace skein
