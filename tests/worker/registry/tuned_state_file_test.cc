// What a tuned state's file may look like, and what is said about one that does not fit.
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/golden.h"
#include "tests/worker/registry/state_layouts.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "worker/registry/tuned_state.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Code = absl::StatusCode;
using Tensors = std::vector<TestTensor>;

constexpr auto kAutomatic = TunedStateLayout::kAutomatic;
constexpr auto kValueKey = TunedStateLayout::kValueKey;
constexpr auto kKeyValue = TunedStateLayout::kKeyValue;
const TestStateShape kTiny = {.layers = 2, .heads = 2, .head_size = 2};
const TestStateShape kHybrid = {.layers = 4, .heads = 2, .head_size = 2, .attention = {1, 3}};

absl::StatusOr<TunedState> Load(const std::string& path, TunedStateLayout layout = kAutomatic,
                                const TestStateShape& shape = kTiny) {
  return LoadTunedState(path, layout, TestDescription(shape), TestStateLayout(shape), Stream());
}

// 1, 2, 3, ..
std::vector<float> Counted(int64_t count) {
  std::vector<float> values;
  for (int64_t i = 1; i <= count; ++i) values.push_back(static_cast<float>(i));
  return values;
}

TestTensor Counting(std::string name, Shape shape, DType dtype = DType::kF32) {
  const int64_t count = NumElements(shape);
  return MakeTestTensor(std::move(name), dtype, std::move(shape), Counted(count));
}

TestTensor Constant(std::string name, Shape shape, float value) {
  const auto count = static_cast<size_t>(NumElements(shape));
  return MakeTestTensor(std::move(name), DType::kF32, std::move(shape),
                        std::vector<float>(count, value));
}

TestTensor Wkv(int layer) {
  return Counting(absl::StrCat("blocks.", layer, ".att.time_state"), {2, 2, 2});
}

// A good state for kTiny and `more`.
Tensors With(Tensors more) {
  more.insert(more.begin(), {Wkv(0), Wkv(1)});
  return more;
}

class TunedStateFileTest : public ::testing::Test {
 protected:
  std::string Write(const Tensors& tensors, const std::string& name = "some.safetensors") const {
    return folder_.Write(name, SafetensorsBytes(tensors));
  }

  const TempFolder folder_;
};

TEST_F(TunedStateFileTest, NamesOfBothStylesAndPrefixesMeanTheSame) {
  const auto expected = Load(Write(With({})));
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (const char* style :
       {"model.blocks.%.att.", "base_model.model.blocks.%.att.", "model.layers.%.self_attn.",
        "base_model.model.model.layers.%.self_attn."}) {
    SCOPED_TRACE(style);
    Tensors tensors;
    for (const char* layer : {"0", "1"}) {
      std::string name = absl::StrCat(style, "time_state");
      name.replace(name.find('%'), 1, layer);
      tensors.push_back(Counting(name, {2, 2, 2}));
    }
    const auto state = Load(Write(tensors));
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ(state->state->content_hash, expected->state->content_hash);
    EXPECT_THAT(state->warnings, IsEmpty());
  }
}

TEST_F(TunedStateFileTest, TypesAndExtentsOfOneInFrontMakeNoDifference) {
  const auto expected = Load(Write(With({})));
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF64}) {
    const auto state = Load(Write({Wkv(0), Counting("blocks.1.att.time_state", {1, 2, 2, 2}, dtype),
                                   Constant("blocks.1.att.ts_state", {1, 1, 4}, 0)}));
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ(state->state->content_hash, expected->state->content_hash);
  }
}

TEST_F(TunedStateFileTest, LayoutIsThatGivenOrElseThatOfMetadataOrName) {
  const std::string plain = SafetensorsBytes(With({}));
  const auto with_metadata = [&](const std::string& layout) {
    std::string header = plain.substr(8, plain.find("}}") + 2 - 8);
    const std::string data = plain.substr(plain.find("}}") + 2);
    header.insert(1, absl::StrCat("\"__metadata__\":{\"time_state_layout\":\"", layout, "\"},"));
    return SafetensorsBytes(header, data);
  };
  struct Case {
    const char* name;
    std::string content;
    TunedStateLayout given, used;
  };
  for (const Case& c :
       {Case{"a.safetensors", plain, kAutomatic, kValueKey},
        Case{"a.state", plain, kAutomatic, kKeyValue},
        Case{"a.STATE", plain, kAutomatic, kKeyValue}, Case{"a.state", plain, kValueKey, kValueKey},
        Case{"a.safetensors", plain, kKeyValue, kKeyValue},
        Case{"a.safetensors", with_metadata("kv"), kAutomatic, kKeyValue},
        Case{"a.safetensors", with_metadata("kv"), kValueKey, kValueKey},
        Case{"a.state", with_metadata("value-key"), kAutomatic, kValueKey}}) {
    SCOPED_TRACE(c.name);
    const auto state = Load(folder_.Write(c.name, c.content), c.given);
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ(state->layout, c.used);
    EXPECT_THAT(state->warnings, IsEmpty());
    const std::vector<float> found = FieldValues(*state->state, TestStateLayout(kTiny), "wkv", 1);
    EXPECT_THAT(found, c.used == kValueKey ? ElementsAre(1, 2, 3, 4, 5, 6, 7, 8)
                                           : ElementsAre(1, 3, 2, 4, 5, 7, 6, 8));
  }
  const auto unknown = Load(folder_.Write("a.safetensors", with_metadata("xy")));
  EXPECT_EQ(unknown.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(std::string(unknown.status().message()),
              HasSubstr("metadata time_state_layout: layout \"xy\", expected vk, kv or auto"));
  EXPECT_TRUE(Load(folder_.Write("a.safetensors", with_metadata("xy")), kKeyValue).ok());
}

TEST_F(TunedStateFileTest, LayoutsHaveNames) {
  for (const auto layout : {kAutomatic, kValueKey, kKeyValue}) {
    EXPECT_EQ(*ParseTunedStateLayout(TunedStateLayoutName(layout)), layout);
  }
  EXPECT_EQ(*ParseTunedStateLayout("vk"), kValueKey);
  EXPECT_EQ(*ParseTunedStateLayout("kv"), kKeyValue);
  EXPECT_EQ(*ParseTunedStateLayout("auto"), kAutomatic);
  EXPECT_EQ(ParseTunedStateLayout("VK").status().code(), Code::kInvalidArgument);
}

TEST_F(TunedStateFileTest, HybridsHaveEntriesOfTheirRwkvLayersUnderAbsoluteNumbers) {
  const auto state =
      Load(Write({Wkv(2), Constant("blocks.0.att.time_state", {2, 2, 2}, 5)}), kAutomatic, kHybrid);
  ASSERT_TRUE(state.ok()) << state.status();
  const StateLayout layout = TestStateLayout(kHybrid);
  EXPECT_EQ(state->bytes, layout.bytes);
  EXPECT_EQ(FieldValues(*state->state, layout, "wkv", 0), std::vector<float>(8, 5.0f));
  EXPECT_EQ(FieldValues(*state->state, layout, "wkv", 2), Counted(8));
}

TEST_F(TunedStateFileTest, TellsOfKeysThatAreNotUsedAndOfALayoutThatIsInDoubt) {
  Tensors more;
  for (int i = 0; i < 11; ++i) {
    more.push_back(Constant(absl::StrCat("k", i, i == 0 ? std::string(200, 'x') : ""), {1}, 0));
  }
  const auto state = Load(Write(With(more), "my.state.safetensors"));
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(
      state->warnings,
      ElementsAre("read as value-key; if this is a converted .state file, load it as key-value",
                  absl::StrCat("not used: k0", std::string(98, 'x'),
                               "..., k1, k2, k3, k4, k5, k6, k7 and 3 more")));
  EXPECT_EQ(state->state->content_hash, Load(Write(With({})))->state->content_hash);
}

TEST_F(TunedStateFileTest, TimeOffsetsOfZeroPass) {
  const auto state = Load(Write(With({Constant("blocks.0.att.time_offset", {4}, 0),
                                      Constant("blocks.1.att.time_offset_y", {1, 1, 4}, -0.0f)})));
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->warnings, IsEmpty());
  EXPECT_EQ(state->state->content_hash, Load(Write(With({})))->state->content_hash);
  EXPECT_EQ(state->state->factors, nullptr);
}

TEST_F(TunedStateFileTest, OtherTimeOffsetsAreFactors) {
  const auto newest = Load(Write(With({Constant("blocks.1.att.time_offset", {4}, 0.5f)})));
  ASSERT_TRUE(newest.ok()) << newest.status();
  ASSERT_NE(newest->state->factors, nullptr);
  EXPECT_THAT(newest->state->factors->layers,
              ElementsAre(IsEmpty(), ElementsAre(1.5f, 1.5f, 1.5f, 1.5f)));
  const auto march = Load(Write(With({Constant("blocks.1.att.time_offset_y", {4}, 0.5f),
                                      Constant("blocks.1.att.time_offset", {4}, 0)})));
  ASSERT_TRUE(march.ok()) << march.status();
  EXPECT_EQ(march->state->factors->layers, newest->state->factors->layers);
  EXPECT_EQ(march->state->content_hash, newest->state->content_hash);
  EXPECT_NE(march->state->content_hash, Load(Write(With({})))->state->content_hash);
}

TEST_F(TunedStateFileTest, RefusesWhatIsNotForTheModel) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    Tensors tensors;
    Code code;
    const char* message;
    TestStateShape shape = kTiny;
  };
  TestStateShape half = kTiny;
  half.dtype = DType::kF16;
  for (const Case& c : std::vector<Case>{
           {{},
            Code::kInvalidArgument,
            "holds no tuned state: no key is like blocks.0.att.time_state, the first is missing"},
           {{Constant("blocks.0.att.key.weight", {4}, 1)},
            Code::kInvalidArgument,
            "holds no tuned state: no key is like blocks.0.att.time_state, the first is "
            "blocks.0.att.key.weight"},
           {{Constant("blocks.0.att.ts_state", {4}, 1)},
            Code::kInvalidArgument,
            "holds no tuned state"},
           {{Wkv(0)},
            Code::kInvalidArgument,
            "blocks.1.att.time_state is missing: 1 of the model's 2 RWKV layers have an entry, "
            "expected all"},
           {With({Wkv(2)}), Code::kInvalidArgument,
            "blocks.2.att.time_state: the model has 2 layers, the first is 0"},
           {{Wkv(0), Wkv(1), Wkv(2)},
            Code::kInvalidArgument,
            "blocks.1.att.time_state: layer 1 of the model is not an RWKV layer and has no such "
            "state",
            kHybrid},
           {{Wkv(0)},
            Code::kInvalidArgument,
            "blocks.2.att.time_state is missing: 1 of the model's 2",
            kHybrid},
           {{Wkv(0), Wkv(2), Constant("blocks.0.att.ts_state", {4}, 0)},
            Code::kInvalidArgument,
            "blocks.0.att.ts_state: layer 0 of the model has no token shift",
            kHybrid},
           {With({Counting("model.layers.1.self_attn.time_state", {2, 2, 2})}),
            Code::kInvalidArgument,
            "model.layers.1.self_attn.time_state: is the same entry as blocks.1.att.time_state"},
           {{Wkv(0), Counting("blocks.1.att.time_state", {2, 2, 3})},
            Code::kInvalidArgument,
            "blocks.1.att.time_state: shape [2, 2, 3], expected [2, 2, 2]"},
           {{Wkv(0), Counting("blocks.1.att.time_state", {8})},
            Code::kInvalidArgument,
            "blocks.1.att.time_state: shape [8], expected [2, 2, 2]"},
           {With({Constant("blocks.0.ffn.ts_state", {5}, 0)}), Code::kInvalidArgument,
            "blocks.0.ffn.ts_state: shape [5], expected [4]"},
           {{Wkv(0), {"blocks.1.att.time_state", DType::kI8, {2, 2, 2}, std::string(8, '\0')}},
            Code::kInvalidArgument,
            "blocks.1.att.time_state: type I8, expected a floating-point type"},
           {{Wkv(0), {"blocks.1.att.time_state", DType::kF8E4M3, {2, 2, 2}, std::string(8, '\0')}},
            Code::kInvalidArgument,
            "blocks.1.att.time_state: type F8_E4M3 cannot be read"},
           {{Wkv(0), Constant("blocks.1.att.time_state", {2, 2, 2}, inf)},
            Code::kDataLoss,
            "blocks.1.att.time_state: holds inf, expected finite values"},
           {With({Constant("blocks.0.att.ts_state", {4}, nan)}), Code::kDataLoss,
            "blocks.0.att.ts_state: holds nan, expected finite values"},
           {{Wkv(0), Constant("blocks.1.att.time_state", {2, 2, 2}, -70000)},
            Code::kInvalidArgument,
            "blocks.1.att.time_state: holds -70000, which the states of this worker, kept in fp16, "
            "cannot; keep them in fp32",
            half},
           {With({Constant("blocks.1.att.time_offset", {4}, 0.5f),
                  Constant("blocks.0.att.time_offset_y", {4}, 0)}),
            Code::kInvalidArgument,
            "blocks.1.att.time_offset: scales the block's output beside time_offset_y, which is "
            "not supported"},
           {With({Constant("blocks.1.att.time_offset", {4}, inf)}), Code::kDataLoss,
            "blocks.1.att.time_offset: holds inf, expected finite values"},
           {With({Constant("blocks.1.att.time_offset", {5}, 0)}), Code::kInvalidArgument,
            "blocks.1.att.time_offset: shape [5], expected [4]"},
           {With({Constant("blocks.1.att.time_offset2", {4}, 0)}), Code::kInvalidArgument,
            "blocks.1.att.time_offset2: time_offset2, an offset of the a-gate, is not supported"},
       }) {
    SCOPED_TRACE(c.message);
    const auto state = Load(Write(c.tensors), kAutomatic, c.shape);
    EXPECT_EQ(state.status().code(), c.code);
    EXPECT_THAT(std::string(state.status().message()),
                StartsWith(absl::StrCat("some.safetensors: ", c.message)));
  }
}

TEST_F(TunedStateFileTest, RefusesWhatIsNoFileToRead) {
  const std::string pipe = folder_.File("pipe.pth");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string large = folder_.Write("large.pth", "");
  std::filesystem::resize_file(large, (int64_t{1} << 30) + 1);
  struct Case {
    std::string path;
    Code code;
    const char* message;
  };
  for (const Case& c : {Case{folder_.File("none.pth"), Code::kNotFound, "none.pth: no such file"},
                        Case{pipe, Code::kInvalidArgument, "pipe.pth: not a regular file"},
                        Case{folder_.path(), Code::kInvalidArgument, ": not a regular file"},
                        Case{large, Code::kInvalidArgument,
                             "large.pth: has 1073741825 bytes, expected at most 1073741824"}}) {
    SCOPED_TRACE(c.message);
    const auto state = Load(c.path);
    EXPECT_EQ(state.status().code(), c.code);
    EXPECT_THAT(std::string(state.status().message()), HasSubstr(c.message));
    EXPECT_THAT(std::string(state.status().message()), Not(HasSubstr(folder_.path() + "/")));
  }
}

// The damaged and hostile files that no model is read from.
TEST_F(TunedStateFileTest, RefusesDamagedFilesAsModelsAreRefused) {
  const auto folder = GoldenPath("rwkv/container/bad");
  if (!folder) GTEST_SKIP() << "no golden data";
  for (const auto& file : std::filesystem::directory_iterator(*folder)) {
    const std::string name = file.path().filename().string();
    SCOPED_TRACE(name);
    const auto state = Load(file.path().string());
    EXPECT_TRUE(absl::IsDataLoss(state.status()) || absl::IsUnimplemented(state.status()))
        << state.status();
    EXPECT_THAT(std::string(state.status().message()), StartsWith(name + ": "));
    // Content decides where the name says nothing.
    const std::string renamed = folder_.File("renamed.state");
    std::filesystem::copy_file(file, renamed, std::filesystem::copy_options::overwrite_existing);
    EXPECT_FALSE(Load(renamed).ok());
  }
}

// Pieces of a pickle.
std::string Text(const std::string& text) {
  return absl::StrCat("X", std::string(1, static_cast<char>(text.size())), std::string(3, '\0'),
                      text);
}
std::string Byte(int value) { return absl::StrCat("K", std::string(1, static_cast<char>(value))); }
// A [2, 2, 2] Parameter over storage 0 of 24 floats, from `offset` on; its strides exchange values
// and keys.
std::string Parameter(int offset) {
  const std::string storage = absl::StrCat("(", Text("storage"), "ctorch\nFloatStorage\n",
                                           Text("0"), Text("cpu"), Byte(24), "tQ");
  const std::string tensor =
      absl::StrCat("ctorch._utils\n_rebuild_tensor_v2\n(", storage, Byte(offset), "(", Byte(2),
                   Byte(2), Byte(2), "t(", Byte(4), Byte(1), Byte(2), "t\x89", "}tR");
  return absl::StrCat("ctorch._utils\n_rebuild_parameter\n(", tensor, "\x88", "}tR");
}

TEST_F(TunedStateFileTest, ReadsParametersThatAreViewsIntoOneStorage) {
  const std::string pickle =
      absl::StrCat("\x80\x02", "}(", Text("blocks.0.att.time_state"), Parameter(0),
                   Text("blocks.1.att.time_state"), Parameter(16), "u.");
  const std::string storage = MakeTestTensor("", DType::kF32, {24}, Counted(24)).bytes;
  for (const char* name : {"parameters.pth", "parameters.pt", "parameters"}) {
    SCOPED_TRACE(name);
    const auto state = Load(folder_.Write(name, PthBytes(pickle, storage)));
    ASSERT_TRUE(state.ok()) << state.status();
    const StateLayout layout = TestStateLayout(kTiny);
    EXPECT_THAT(FieldValues(*state->state, layout, "wkv", 0), ElementsAre(1, 3, 2, 4, 5, 7, 6, 8));
    EXPECT_THAT(FieldValues(*state->state, layout, "wkv", 1),
                ElementsAre(17, 19, 18, 20, 21, 23, 22, 24));
  }
}

}  // namespace
}  // namespace skein
