#include "worker/weights/model_files.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/golden.h"
#include "tests/worker/weights/checkpoint_writer.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::byte> Raw(const TensorEntry& entry) {
  std::vector<std::byte> bytes(NumElements(entry.shape) * DTypeBytes(entry.dtype));
  ModelFiles::CopyRaw(entry, bytes.data());
  return bytes;
}

std::unique_ptr<ModelFiles> OpenOrDie(const std::string& path) {
  absl::StatusOr<std::unique_ptr<ModelFiles>> files = ModelFiles::Open(path);
  EXPECT_TRUE(files.ok()) << files.status();
  return files.ok() ? *std::move(files) : nullptr;
}

void ExpectEqualTensors(const ModelFiles& actual, const ModelFiles& expected) {
  ASSERT_EQ(actual.tensors().size(), expected.tensors().size());
  for (const auto& [name, entry] : expected.tensors()) {
    SCOPED_TRACE(name);
    const TensorEntry* found = actual.Find(name);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->dtype, entry.dtype);
    EXPECT_EQ(found->shape, entry.shape);
    EXPECT_EQ(Raw(*found), Raw(entry));
  }
}

TEST(ModelFilesTest, ReadsTorchFilesLikeTheirExpectedTensors) {
  for (const char* name : {"module_state_dict", "newer_entries", "otherdtypes", "plain_dict",
                           "unaligned", "views", "zip64"}) {
    SCOPED_TRACE(name);
    const auto path = GoldenPath(absl::StrCat("rwkv/container/", name, ".pth"));
    const auto expected = GoldenPath(absl::StrCat("rwkv/container/", name, ".expect.safetensors"));
    if (!path || !expected) GTEST_SKIP() << "no golden data";
    const auto actual_files = OpenOrDie(*path);
    const auto expected_files = OpenOrDie(*expected);
    ASSERT_TRUE(actual_files && expected_files);
    ExpectEqualTensors(*actual_files, *expected_files);
  }
}

TEST(ModelFilesTest, MarksOnlyViewsAsNotContiguous) {
  const auto path = GoldenPath("rwkv/container/views.pth");
  if (!path) GTEST_SKIP() << "no golden data";
  const auto files = OpenOrDie(*path);
  ASSERT_TRUE(files);
  std::vector<std::string> strided;
  for (const auto& [name, entry] : files->tensors()) {
    if (!entry.contiguous) strided.push_back(name);
  }
  EXPECT_THAT(strided, ElementsAre("col3.f32", "expanded.f32", "permuted.bf16", "strided.f16",
                                   "transposed.f32"));
}

// The random model's weights are exact in each type, so that all its files hold the same numbers.
TEST(ModelFilesTest, ReadsTheSameWeightsFromEachFileOfAModel) {
  const std::string folder = "rwkv/rand-x070/model.";
  const auto reference_path = GoldenPath(absl::StrCat(folder, "f32.safetensors"));
  if (!reference_path) GTEST_SKIP() << "no golden data";
  const auto reference = OpenOrDie(*reference_path);
  ASSERT_TRUE(reference);
  for (const char* kind : {"bf16.safetensors", "bf16.pth", "f16.pth"}) {
    const auto path = GoldenPath(absl::StrCat(folder, kind));
    if (!path) continue;
    SCOPED_TRACE(kind);
    const auto files = OpenOrDie(*path);
    ASSERT_TRUE(files);
    ASSERT_EQ(files->tensors().size(), reference->tensors().size());
    for (const auto& [name, entry] : reference->tensors()) {
      const TensorEntry* found = files->Find(name);
      ASSERT_NE(found, nullptr) << name;
      std::vector<float> expected(NumElements(entry.shape));
      std::vector<float> actual(expected.size(), -1.0f);
      ASSERT_TRUE(ModelFiles::CopyFloat(entry, expected.data()).ok());
      ASSERT_TRUE(ModelFiles::CopyFloat(*found, actual.data()).ok());
      EXPECT_EQ(actual, expected) << name;
    }
  }
}

TEST(ModelFilesTest, ReadsAllShardsOfAFolder) {
  const auto folder = GoldenPath("hybrid/hxa079-qknorm");
  if (!folder) GTEST_SKIP() << "no golden data";
  const auto files = OpenOrDie(absl::StrCat(*folder, "/model.safetensors.index.json"));
  ASSERT_TRUE(files);
  EXPECT_EQ(files->tensors().size(), 81u);
  EXPECT_THAT(files->config_json(), HasSubstr("hxa079"));
  ASSERT_NE(files->Find("model.embed_tokens.weight"), nullptr);
  ASSERT_NE(files->Find("model.norm.weight"), nullptr);
  EXPECT_EQ(files->Find("model.norm.weight")->shape.size(), 1u);
  const auto same = OpenOrDie(*folder);
  ASSERT_TRUE(same);
  ExpectEqualTensors(*same, *files);
}

TEST(ModelFilesTest, FindsTheCheckpointOfAFolder) {
  const std::string one = SafetensorsBytes({MakeTestTensor("one", DType::kF32, {1}, {1})});
  const std::string two = SafetensorsBytes({MakeTestTensor("two", DType::kF32, {1}, {2})});
  struct Case {
    const char* name;
    std::vector<std::pair<std::string, std::string>> files;
    std::string tensor;  // the only one, or
    absl::StatusCode code = absl::StatusCode::kOk;
    std::string message;
  };
  const std::string index = R"({"weight_map": {"two": "part.safetensors"}})";
  using Code = absl::StatusCode;
  for (const Case& c : std::vector<Case>{
           {"the usual name", {{"model.safetensors", one}, {"x.safetensors", two}}, "one", {}, {}},
           {"an index",
            {{"model.safetensors.index.json", index}, {"part.safetensors", two}, {"a.pth", one}},
            "two",
            {},
            {}},
           {"one file", {{"x.safetensors", one}, {"notes.txt", ""}}, "one", {}, {}},
           {"two files",
            {{"a.safetensors", one}, {"b.pth", two}},
            "",
            Code::kInvalidArgument,
            "2 checkpoints \\(a.safetensors, b.pth\\)"},
           {"nothing", {{"notes.txt", ""}}, "", Code::kNotFound, "holds no model.safetensors"},
           {"another format",
            {{"m.gguf", "GGUF"}},
            "",
            Code::kUnimplemented,
            "m.gguf: this format"},
       }) {
    SCOPED_TRACE(c.name);
    const TempFolder folder;
    for (const auto& [name, content] : c.files) folder.Write(name, content);
    const auto files = ModelFiles::Open(folder.path());
    ASSERT_EQ(files.status().code(), c.code) << files.status();
    if (!files.ok()) {
      EXPECT_THAT(std::string(files.status().message()), ::testing::ContainsRegex(c.message));
      continue;
    }
    EXPECT_NE((*files)->Find(c.tensor), nullptr);
    EXPECT_EQ((*files)->tensors().size(), 1u);
    EXPECT_EQ((*files)->folder(), folder.path());
  }
}

TEST(ModelFilesTest, RefusesPathsThatHoldNoCheckpoint) {
  const TempFolder folder;
  using Code = absl::StatusCode;
  for (const auto& [path, code] : std::vector<std::pair<std::string, Code>>{
           {"", Code::kNotFound},
           {folder.File("absent.pth"), Code::kNotFound},
           {folder.Write("weights.txt", "hello"), Code::kInvalidArgument},
           {folder.Write("weights.bin", "hello"), Code::kUnimplemented},
           {"/dev/null", Code::kInvalidArgument}}) {
    SCOPED_TRACE(path);
    const auto files = ModelFiles::Open(path);
    EXPECT_EQ(files.status().code(), code) << files.status();
    EXPECT_THAT(std::string(files.status().message()), HasSubstr(path));
  }
}

TEST(ModelFilesTest, RefusesIndexesThatDisagreeWithTheirFiles) {
  const std::string part1 = SafetensorsBytes({MakeTestTensor("a", DType::kF32, {1}, {1})});
  const std::string part2 = SafetensorsBytes(
      {MakeTestTensor("b", DType::kF32, {1}, {2}), MakeTestTensor("c", DType::kF32, {1}, {3})});
  struct Case {
    const char* index;
    const char* message;
  };
  const std::string both = R"("b": "p2.safetensors", "c": "p2.safetensors")";
  for (const auto& [map, message] : std::vector<std::pair<std::string, std::string>>{
           {R"({"a": "../p1.safetensors"})",
            "tensor \"a\": file \"../p1.safetensors\", expected a plain name"},
           {R"({"a": "/p1.safetensors"})", "expected a plain name"},
           {R"({"a": "sub/p1.safetensors"})", "expected a plain name"},
           {R"({"a": "sub\\p1.safetensors"})", "expected a plain name"},
           {R"({"a": "p1.safetensors\u0000.safetensors"})", "expected a plain name"},
           {R"({"a": ".."})", "expected a plain name"},
           {R"({"a": "p1.pth"})", "expected a plain name"},
           {R"({"a": 3})", "tensor \"a\": file is not a string"},
           {R"({"a": "p9.safetensors"})", "names \"p9.safetensors\", which is missing"},
           {R"({"x": "p1.safetensors"})",
            "p1.safetensors: tensor \"a\" is here, but the index does not name it"},
           {R"({"a": "p2.safetensors"})",
            "p2.safetensors: tensor \"b\" is here, but the index does not name it"},
           {"{\"a\": \"p1.safetensors\", \"d\": \"p2.safetensors\", " + both + "}",
            "tensor \"d\" is missing in \"p2.safetensors\""},
           {"{\"a\": \"p1.safetensors\", \"a\": \"p1.safetensors\"}", "key \"a\" appears twice"},
           {"{\"a\": \"p1.safetensors\", \"a2\": \"copy.safetensors\", " + both + "}",
            "copy.safetensors: tensor \"a\" is here, but the index says \"p1.safetensors\""},
           {"[]", "weight_map is not a JSON object"},
       }) {
    SCOPED_TRACE(map);
    const TempFolder folder;
    folder.Write("p1.safetensors", part1);
    folder.Write("p2.safetensors", part2);
    folder.Write("copy.safetensors", part1);
    folder.Write("model.safetensors.index.json",
                 absl::StrCat("{\"metadata\": {\"total_size\": 12}, \"weight_map\": ", map, "}"));
    const auto files = ModelFiles::Open(folder.path());
    EXPECT_EQ(files.status().code(), absl::StatusCode::kDataLoss) << files.status();
    EXPECT_THAT(std::string(files.status().message()), HasSubstr(message));
  }
}

TEST(ModelFilesTest, ReadsSafetensorsThatTheFormatAllows) {
  const TempFolder folder;
  // Not in the order of the data; an empty tensor between two others; a scalar; padding.
  const std::string header =
      R"({"__metadata__": {"format": "pt"},)"
      R"("late": {"dtype": "U8", "shape": [3], "data_offsets": [4, 7]},)"
      R"("none": {"dtype": "F32", "shape": [0, 5], "data_offsets": [4, 4]},)"
      R"("scalar": {"shape": [], "data_offsets": [0, 4], "dtype": "F32"}}    )";
  const auto files = OpenOrDie(
      folder.Write("m.safetensors", SafetensorsBytes(header, absl::string_view("\0\0\x80\x3f"
                                                                               "abc",
                                                                               7))));
  ASSERT_TRUE(files);
  float scalar = 0;
  ASSERT_TRUE(ModelFiles::CopyFloat(*files->Find("scalar"), &scalar).ok());
  EXPECT_EQ(scalar, 1.0f);
  EXPECT_EQ(Raw(*files->Find("none")).size(), 0u);
  const std::vector<std::byte> late = Raw(*files->Find("late"));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(late.data()), late.size()), "abc");
  EXPECT_EQ(ModelFiles::CopyFloat(*files->Find("late"), &scalar).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ModelFilesTest, OpensWithoutReadingTheWeights) {
  const TempFolder folder;
  constexpr int64_t kBytes = int64_t{64} << 30;  // a sparse file: reading it would take minutes
  const std::string header = absl::StrCat(R"({"a": {"dtype": "BF16", "shape": [)", kBytes / 2,
                                          R"(], "data_offsets": [0, )", kBytes, "]}}");
  const std::string path = folder.Write("m.safetensors", SafetensorsBytes(header, ""));
  ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(8 + header.size()) + kBytes), 0);
  const auto files = OpenOrDie(path);
  ASSERT_TRUE(files);
  EXPECT_EQ(NumElements(files->Find("a")->shape), kBytes / 2);
}

TEST(ModelFilesTest, HoldsTensorsThatNoFileHas) {
  auto values = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4});
  const TensorEntry entry = {.dtype = DType::kF32,
                             .shape = {2, 2},
                             .strides = {2, 1},
                             .data = reinterpret_cast<const std::byte*>(values->data())};
  const std::weak_ptr<std::vector<float>> alive = values;
  {
    const auto files =
        ModelFiles::FromMemory({{"a", entry}, {"b", Transposed(entry)}}, "{}", std::move(values));
    ASSERT_TRUE(files.ok()) << files.status();
    EXPECT_EQ((*files)->config_json(), "{}");
    EXPECT_EQ((*files)->tensors().size(), 2u);
    std::vector<float> out(4);
    ASSERT_TRUE(ModelFiles::CopyFloat(*(*files)->Find("b"), out.data()).ok());
    EXPECT_THAT(out, ElementsAre(1, 3, 2, 4));
    EXPECT_FALSE(alive.expired());
  }
  EXPECT_TRUE(alive.expired());
  EXPECT_THAT(
      std::string(
          ModelFiles::FromMemory({{"a", entry}, {"a", entry}}, "", nullptr).status().message()),
      HasSubstr("\"a\" comes twice"));
}

}  // namespace
}  // namespace skein
