#include "worker/weights/weight_loader.h"

#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/golden.h"
#include "tests/worker/weights/checkpoint_writer.h"

namespace skein {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<ModelFiles> OpenOrDie(const std::string& path) {
  absl::StatusOr<std::unique_ptr<ModelFiles>> files = ModelFiles::Open(path);
  SKEIN_CHECK(files.ok());
  return *std::move(files);
}

class WeightLoaderTest : public ::testing::Test {
 protected:
  std::unique_ptr<ModelFiles> Files(const std::vector<TestTensor>& tensors) {
    return OpenOrDie(folder_.Write("model.safetensors", SafetensorsBytes(tensors)));
  }
  // Plans and loads; the arena is exactly as large as planned.
  absl::Status Load(WeightLoader& loader, const WeightLoader::Progress& progress = {}) {
    const absl::StatusOr<int64_t> bytes = loader.PlanBytes();
    if (!bytes.ok()) return bytes.status();
    arena_ = *Arena::Create(static_cast<size_t>(*bytes));
    const absl::Status status = loader.Load(*arena_, progress);
    EXPECT_EQ(arena_->used(), static_cast<size_t>(*bytes));
    return status;
  }

  TempFolder folder_;
  std::unique_ptr<Arena> arena_;
};

std::vector<float> Values(const WeightMatrix& matrix) {
  std::vector<float> values(matrix.rows * matrix.cols);
  EXPECT_TRUE(
      ConvertToFloat(matrix.dtype, matrix.data, matrix.rows * matrix.cols, values.data()).ok());
  return values;
}

std::vector<float> Values(const TensorView<const float>& view) {
  return std::vector<float>(view.data(), view.data() + view.size());
}

TEST_F(WeightLoaderTest, KeepsMatrixTypesAndWidensVectors) {
  const std::vector<float> six = {1, 2, 3, 4, 5, 6};
  const auto files = Files({MakeTestTensor("m32", DType::kF32, {2, 3}, six),
                            MakeTestTensor("m16", DType::kBF16, {2, 3}, six),
                            MakeTestTensor("mh", DType::kF16, {2, 3}, six),
                            MakeTestTensor("m64", DType::kF64, {2, 3}, six),
                            MakeTestTensor("v", DType::kF16, {1, 1, 6}, six),
                            MakeTestTensor("w", DType::kF64, {6}, six)});
  WeightLoader loader(*files);
  WeightMatrix m32, m16, mh, m64;
  TensorView<const float> v, w;
  loader.Matrix({"m32"}, 2, 3, &m32);
  loader.Matrix({"m16"}, 2, 3, &m16);
  loader.Matrix({"mh"}, 2, 3, &mh);
  loader.Matrix({"m64"}, 2, 3, &m64);
  loader.Vector({"v"}, {2, 3}, &v);
  loader.Vector({"w"}, {6}, &w);
  EXPECT_THAT(std::string(Load(loader).message()),
              HasSubstr("v: shape [1, 1, 6], expected [2, 3]"));

  WeightLoader right(*files);
  right.Matrix({"m32"}, 2, 3, &m32);
  right.Matrix({"m16"}, 2, 3, &m16);
  right.Matrix({"mh"}, 2, 3, &mh);
  right.Matrix({"m64"}, 2, 3, &m64);
  right.Vector({"v"}, {6}, &v);
  right.Vector({"w"}, {6}, &w);
  ASSERT_TRUE(Load(right).ok());
  EXPECT_EQ(m32.dtype, DType::kF32);
  EXPECT_EQ(m16.dtype, DType::kBF16);
  EXPECT_EQ(mh.dtype, DType::kF16);
  EXPECT_EQ(m64.dtype, DType::kF32);
  for (const WeightMatrix& matrix : {m32, m16, mh, m64}) {
    EXPECT_EQ(Values(matrix), six);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(matrix.data) % Arena::kAlignment, 0u);
  }
  EXPECT_EQ(Values(v), six);
  EXPECT_EQ(v.shape(), Shape({6}));
  EXPECT_EQ(Values(w), six);
  EXPECT_EQ(right.num_parameters(), 36);
}

TEST_F(WeightLoaderTest, MatricesBecomeTheTypeThatIsAskedFor) {
  const std::vector<float> six = {1, -2, 3, 0.1f, 5, 1.0f + 0x1p-9f};
  const auto files = Files({MakeTestTensor("m32", DType::kF32, {2, 3}, six),
                            MakeTestTensor("turned", DType::kF32, {3, 2}, six),
                            MakeTestTensor("v", DType::kF32, {6}, six)});
  for (const DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    SCOPED_TRACE(std::string(DTypeName(type)));
    WeightLoader loader(*files, Stream(), {.matrix_type = type, .edit = nullptr});
    WeightMatrix m32, turned;
    TensorView<const float> v;
    loader.Matrix({"m32"}, 2, 3, &m32);
    loader.Matrix({"turned"}, 2, 3, &turned, {.transposed = true});
    loader.Vector({"v"}, {6}, &v);
    ASSERT_TRUE(Load(loader).ok());
    const auto rounded = [type](float value) {
      if (type == DType::kF32) return value;
      return type == DType::kF16 ? Fp16ToFloat(FloatToFp16(value))
                                 : Bf16ToFloat(FloatToBf16(value));
    };
    EXPECT_EQ(m32.dtype, type);
    for (int i = 0; i < 6; ++i) {
      EXPECT_EQ(Values(m32)[i], rounded(six[i]));
      EXPECT_EQ(Values(turned)[3 * (i % 2) + i / 2], rounded(six[i]));
    }
    EXPECT_EQ(Values(v), six);  // vectors stay fp32
  }
}

TEST_F(WeightLoaderTest, ValuesMayBeEditedOnTheirWay) {
  const std::vector<float> four = {1, 2, 3, 4};
  const auto files = Files({MakeTestTensor("m", DType::kBF16, {2, 2}, four),
                            MakeTestTensor("other", DType::kBF16, {2, 2}, four),
                            MakeTestTensor("v", DType::kF16, {4}, four)});
  const float third = 1.0f / 3;
  WeightLoader loader(
      *files, Stream(),
      {.matrix_type = std::nullopt,
       .edit = [&](const std::string& name) -> absl::StatusOr<std::optional<std::vector<float>>> {
         if (name == "other") return std::nullopt;
         return std::vector<float>{5, third, 7, 8};
       }});
  WeightMatrix m, other;
  TensorView<const float> v;
  loader.Matrix({"m"}, 2, 2, &m, {.transposed = true});
  loader.Matrix({"other"}, 2, 2, &other);
  loader.Vector({"v"}, {4}, &v);
  ASSERT_TRUE(Load(loader).ok());
  EXPECT_EQ(m.dtype, DType::kBF16);
  EXPECT_EQ(Values(m), (std::vector<float>{5, 7, Bf16ToFloat(FloatToBf16(third)), 8}));
  EXPECT_EQ(Values(other), four);
  EXPECT_EQ(Values(v), (std::vector<float>{5, third, 7, 8}));  // not rounded to what the file has
}

TEST_F(WeightLoaderTest, AFileThatWasCutIsAnError) {
  const std::vector<float> many(4096, 1.0f);
  for (const DType stored : {DType::kF32, DType::kF16}) {
    const auto files = Files({MakeTestTensor("m", stored, {64, 64}, many),
                              MakeTestTensor("v", DType::kF64, {4096}, many)});
    WeightLoader loader(*files);
    WeightMatrix m;
    TensorView<const float> v;
    loader.Matrix({"m"}, 64, 64, &m, {.transposed = true});
    loader.Vector({"v"}, {4096}, &v);
    std::filesystem::resize_file(files->folder() + "/model.safetensors", 5000);
    const auto bytes = loader.PlanBytes();
    ASSERT_TRUE(bytes.ok());
    const auto arena = *Arena::Create(static_cast<size_t>(*bytes));
    const absl::Status status = loader.Load(*arena, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("model.safetensors: ends at byte 5000"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("it was cut after it was opened"));
  }
}

TEST_F(WeightLoaderTest, AValueThatATypeCannotHoldIsAnError) {
  const auto files = Files({MakeTestTensor("m", DType::kF32, {1, 2}, {1, 1e6f})});
  WeightLoader loader(*files, Stream(), {.matrix_type = DType::kF16, .edit = nullptr});
  WeightMatrix m;
  loader.Matrix({"m"}, 1, 2, &m);
  const absl::Status status = Load(loader);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(std::string(status.message()), "m: value 1e+06 is beyond what F16 can hold");
}

TEST_F(WeightLoaderTest, TransposesWhatTheFileHoldsTheOtherWayRound) {
  const auto files = Files({MakeTestTensor("w1", DType::kBF16, {3, 2}, {1, 2, 3, 4, 5, 6}),
                            MakeTestTensor("lead", DType::kF32, {1, 2, 2}, {1, 2, 3, 4}),
                            MakeTestTensor("row", DType::kF32, {3, 1}, {1, 2, 3})});
  WeightLoader loader(*files);
  WeightMatrix w1, lead, row;
  loader.Matrix({"w1"}, 2, 3, &w1, {.transposed = true});
  loader.Matrix({"lead"}, 2, 2, &lead, {.transposed = true});
  loader.Matrix({"row"}, 1, 3, &row, {.transposed = true});
  ASSERT_TRUE(Load(loader).ok());
  EXPECT_THAT(Values(w1), ElementsAre(1, 3, 5, 2, 4, 6));
  EXPECT_THAT(Values(lead), ElementsAre(1, 3, 2, 4));
  EXPECT_THAT(Values(row), ElementsAre(1, 2, 3));
}

TEST_F(WeightLoaderTest, TakesTheFirstNameThatIsThereAndLeavesAbsentOptionsEmpty) {
  const auto files = Files({MakeTestTensor("new.name", DType::kF32, {2}, {1, 2}),
                            MakeTestTensor("blocks.0.att.v0", DType::kF32, {2}, {0, 0})});
  WeightLoader loader(*files);
  TensorView<const float> taken, absent;
  WeightMatrix absent_matrix;
  loader.Vector({"old.name", "new.name"}, {2}, &taken);
  loader.Vector({"bias"}, {2}, &absent, {.optional = true});
  loader.Matrix({"lora"}, 2, 2, &absent_matrix, {.optional = true});
  loader.Ignore("blocks.0.att.v?");
  ASSERT_TRUE(Load(loader).ok());
  EXPECT_THAT(Values(taken), ElementsAre(1, 2));
  EXPECT_TRUE(absent.empty());
  EXPECT_TRUE(absent_matrix.empty());
  EXPECT_EQ(loader.num_parameters(), 2);
}

TEST_F(WeightLoaderTest, NamesEveryDifferenceInOneError) {
  const auto files = Files({MakeTestTensor("wrong", DType::kF32, {2, 1}, {1, 2}),
                            MakeTestTensor("low", DType::kF32, {2, 3}, {1, 2, 3, 4, 5, 6}),
                            TestTensor{"count", DType::kI32, {1, 1}, std::string(4, '\0')},
                            MakeTestTensor("extra.1", DType::kF32, {1}, {1}),
                            MakeTestTensor("extra.2", DType::kF32, {1}, {1})});
  WeightLoader loader(*files);
  WeightMatrix matrix;
  TensorView<const float> view;
  loader.Matrix({"wrong"}, 1, 2, &matrix);
  loader.Matrix({"low"}, 2, 3, &matrix, {.transposed = true});
  loader.Matrix({"count"}, 1, 1, &matrix);
  loader.Vector({"gone", "gone.too"}, {5}, &view);
  loader.Ignore("extra.2");
  const absl::Status status = loader.PlanBytes().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("differs from the model in 5 tensors"),
                    HasSubstr("wrong: shape [2, 1], expected [1, 2]"),
                    HasSubstr("low: shape [2, 3], expected [3, 2]"),
                    HasSubstr("count: type I32, expected F32, BF16, F16 or F64"),
                    HasSubstr("gone or gone.too: missing"),
                    HasSubstr("extra.1: not part of this model"), Not(HasSubstr("extra.2"))));
}

TEST_F(WeightLoaderTest, MatchesIgnorePatterns) {
  struct Case {
    const char* pattern;
    const char* name;
    bool ignored;
  };
  for (const Case& c :
       {Case{"a.b", "a.b", true}, Case{"a.b", "a.bc", false}, Case{"a.?", "a.b", true},
        Case{"a.?", "a.", false}, Case{"*", "a.b", true}, Case{"a*", "a", true},
        Case{"*.v0", "blocks.0.att.v0", true}, Case{"*.v0", "blocks.0.att.v00", false},
        Case{"a*b*c", "a1b2b3c", true}, Case{"a*b*c", "a1c2b", false}, Case{"", "a", false}}) {
    SCOPED_TRACE(absl::StrCat(c.pattern, " ", c.name));
    const auto files = Files({MakeTestTensor(c.name, DType::kF32, {1}, {1})});
    WeightLoader loader(*files);
    loader.Ignore(c.pattern);
    EXPECT_EQ(loader.PlanBytes().ok(), c.ignored);
  }
}

TEST_F(WeightLoaderTest, RefusesAnArenaThatIsTooSmall) {
  const auto files = Files(
      {MakeTestTensor("a", DType::kF32, {1}, {1}), MakeTestTensor("b", DType::kF32, {1}, {1})});
  WeightLoader loader(*files);
  TensorView<const float> a, b;
  loader.Vector({"a"}, {1}, &a);
  loader.Vector({"b"}, {1}, &b);
  ASSERT_EQ(*loader.PlanBytes(), 2 * static_cast<int64_t>(Arena::kAlignment));
  const auto arena = *Arena::Create(Arena::kAlignment);
  EXPECT_EQ(loader.Load(*arena, {}).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(WeightLoaderTest, ReportsProgressUpToTheTotal) {
  const int64_t rows = 5000, cols = 4096;  // 40 MB of bf16
  const auto files =
      Files({TestTensor{"m", DType::kBF16, {rows, cols}, std::string(rows * cols * 2, '\x3f')},
             MakeTestTensor("v", DType::kF32, {3}, {1, 2, 3})});
  WeightLoader loader(*files);
  WeightMatrix m;
  TensorView<const float> v;
  loader.Matrix({"m"}, rows, cols, &m);
  loader.Vector({"v"}, {3}, &v);
  std::vector<int64_t> done;
  ASSERT_TRUE(Load(loader, [&](int64_t bytes_done, int64_t bytes_total) {
                EXPECT_EQ(bytes_total, rows * cols * 2 + 12);
                done.push_back(bytes_done);
              }).ok());
  ASSERT_GE(done.size(), 3u);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.back(), rows * cols * 2 + 12);
  EXPECT_EQ(std::count(done.begin(), done.end(), done.back()), 1);
}

// All tensors of a file, each as a vector: the fingerprint of its values.
uint64_t Fingerprint(const ModelFiles& files) {
  WeightLoader loader(files);
  std::vector<TensorView<const float>> views(files.tensors().size());
  size_t i = 0;
  for (const auto& [name, entry] : files.tensors()) loader.Vector({name}, entry.shape, &views[i++]);
  const auto arena = *Arena::Create(static_cast<size_t>(*loader.PlanBytes()));
  EXPECT_TRUE(loader.Load(*arena, {}).ok());
  return loader.fingerprint();
}

TEST_F(WeightLoaderTest, GivesEqualWeightsTheSameFingerprint) {
  const auto torch = GoldenPath("rwkv/rand-x070/model.bf16.pth");
  const auto safe = GoldenPath("rwkv/rand-x070/model.bf16.safetensors");
  if (!torch || !safe) GTEST_SKIP() << "no golden data";
  EXPECT_EQ(Fingerprint(*OpenOrDie(*torch)), Fingerprint(*OpenOrDie(*safe)));

  const uint64_t base = Fingerprint(*Files({MakeTestTensor("a", DType::kF32, {2}, {1, 2})}));
  EXPECT_NE(base, Fingerprint(*Files({MakeTestTensor("a", DType::kF32, {2}, {1, 3})})));
  EXPECT_NE(base, Fingerprint(*Files({MakeTestTensor("b", DType::kF32, {2}, {1, 2})})));
  EXPECT_NE(base, Fingerprint(*Files({MakeTestTensor("a", DType::kF32, {1, 2}, {1, 2})})));
}

// Transposed views of a .pth and a transposed load cancel each other.
TEST_F(WeightLoaderTest, LoadsViewsOfTorchFiles) {
  const auto path = GoldenPath("rwkv/container/views.pth");
  const auto expected_path = GoldenPath("rwkv/container/views.expect.safetensors");
  if (!path || !expected_path) GTEST_SKIP() << "no golden data";
  const auto files = OpenOrDie(*path);
  const auto expected = OpenOrDie(*expected_path);
  WeightLoader loader(*files);
  WeightMatrix turned, kept;
  loader.Matrix({"transposed.f32"}, 6, 8, &turned, {.transposed = true});
  loader.Matrix({"plain.bf16"}, 4, 6, &kept);
  loader.Ignore("*");
  ASSERT_TRUE(Load(loader).ok());
  std::vector<float> source(48);
  ASSERT_TRUE(ModelFiles::CopyFloat(*expected->Find("transposed.f32"), source.data()).ok());
  const std::vector<float> actual = Values(turned);
  for (int row = 0; row < 6; ++row) {
    for (int col = 0; col < 8; ++col) EXPECT_EQ(actual[row * 8 + col], source[col * 6 + row]);
  }
  EXPECT_EQ(kept.dtype, DType::kBF16);
}

}  // namespace
}  // namespace skein
