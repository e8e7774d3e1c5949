// Files and folders that hold no adapter, and adapter_config.json.
#include "worker/adapters/adapter_files.h"

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/worker/adapters/adapter_fixture.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "worker/adapters/load_adapter.h"

namespace skein {
namespace {

using absl::StatusCode;

std::string LoraFile(const std::string& prefix = "") {
  const std::vector<float> values(32, 0.25f);
  return SafetensorsBytes(
      {MakeTestTensor(prefix + "blocks.0.att.key.lora_A", DType::kBF16, {4, 8}, values),
       MakeTestTensor(prefix + "blocks.0.att.key.lora_B", DType::kBF16, {8, 4}, values)});
}

absl::Status LoadPath(const std::string& path) {
  const FakeBase base(8, 16);
  ParallelFor threads(1);
  return LoadAdapter(path, {}, base, threads).status();
}

void ExpectFailure(const absl::Status& status, StatusCode code, const std::string& message) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), testing::StartsWith(message));
}

TEST(AdapterFilesTest, WhatIsNoAdapterIsRefusedByNameAlone) {
  TempFolder temp;
  ExpectFailure(LoadPath(temp.File("gone.pth")), StatusCode::kNotFound, "gone.pth: no such file");
  ExpectFailure(LoadPath(temp.Write("notes.txt", "hello")), StatusCode::kInvalidArgument,
                "notes.txt: expected a .pth or .safetensors file");
  ExpectFailure(LoadPath(temp.Write("short.safetensors", "x")), StatusCode::kDataLoss,
                "short.safetensors: file of 1 bytes is too short");
  ExpectFailure(LoadPath(temp.Write("text.pth", "hello")), StatusCode::kDataLoss, "text.pth: ");
  ExpectFailure(LoadPath(temp.Write("empty.pth", "")), StatusCode::kDataLoss, "empty.pth: ");
  std::filesystem::create_directory(temp.File("folder.pth"));
  ExpectFailure(LoadPath(temp.File("folder.pth")), StatusCode::kInvalidArgument,
                "folder.pth: a folder must hold adapter_config.json");
  ExpectFailure(LoadPath("/dev/null"), StatusCode::kInvalidArgument, "null: expected a .pth");
}

TEST(AdapterFilesTest, FilesCutAnywhereAreRefused) {
  TempFolder temp;
  const std::string whole = LoraFile();
  ASSERT_TRUE(LoadPath(temp.Write("a.safetensors", whole)).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    const absl::Status status = LoadPath(temp.Write("a.safetensors", whole.substr(0, size)));
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << size << ": " << status;
  }
}

TEST(AdapterFilesTest, AHuggingFaceFolderIsItsTwoFiles) {
  TempFolder temp;
  const std::string config = temp.Write("adapter_config.json", R"({"peft_type": "LORA"})");
  ExpectFailure(LoadPath(temp.path()), StatusCode::kNotFound,
                absl::StrCat(std::filesystem::path(temp.path()).filename().string(),
                             ": holds adapter_config.json but no adapter_model.safetensors"));
  temp.Write("adapter_model.bin", "x");
  ExpectFailure(LoadPath(temp.path()), StatusCode::kUnimplemented, "adapter_model.bin: ");
  const std::string model = temp.Write("adapter_model.safetensors", LoraFile("base_model.model."));
  EXPECT_TRUE(LoadPath(temp.path()).ok()) << LoadPath(temp.path());
  EXPECT_TRUE(LoadPath(temp.path() + "/").ok());
  EXPECT_TRUE(OpenAdapterFiles(model)->peft.has_value());
  temp.Write("adapter_config.json", "{");
  ExpectFailure(LoadPath(model), StatusCode::kDataLoss, "adapter_config.json: not valid JSON");
  temp.Write("adapter_config.json", std::string((1 << 20) + 1, ' '));
  ExpectFailure(LoadPath(model), StatusCode::kDataLoss,
                "adapter_config.json: has 1048577 bytes, expected at most 1048576");
}

TEST(PeftConfigTest, ValuesThatMakeNoSenseAreRefused) {
  struct Case {
    const char* text;
    StatusCode code;
    const char* message;
  };
  for (const Case& c : {
           Case{"[]", StatusCode::kDataLoss, "is not a JSON object"},
           {"{}", StatusCode::kDataLoss, "\"peft_type\" is missing or no string"},
           {R"({"peft_type": "IA3"})", StatusCode::kUnimplemented,
            "peft_type IA3 is not supported; LORA, MISS and BONE are"},
           {R"({"peft_type": "LORA", "r": 0})", StatusCode::kDataLoss,
            "\"r\" is not a rank from 1 to 1048576"},
           {R"({"peft_type": "LORA", "r": 8.5})", StatusCode::kDataLoss,
            "\"r\" is not a rank from 1 to 1048576"},
           {R"({"peft_type": "LORA", "lora_alpha": "x"})", StatusCode::kDataLoss,
            "\"lora_alpha\" is not a finite number"},
           {R"({"peft_type": "LORA", "use_rslora": 1})", StatusCode::kDataLoss,
            "\"use_rslora\" is neither true nor false"},
           {R"({"peft_type": "LORA", "fan_in_fan_out": true})", StatusCode::kUnimplemented,
            "fan_in_fan_out is not supported"},
           {R"({"peft_type": "LORA", "rank_pattern": [1]})", StatusCode::kDataLoss,
            "\"rank_pattern\" is not a JSON object"},
           {R"json({"peft_type": "LORA", "alpha_pattern": {"layers.(0|1)": 2}})json",
            StatusCode::kUnimplemented,
            "pattern \"layers.(0|1)\" is a regular expression; only names of modules are "
            "supported"},
       }) {
    SCOPED_TRACE(c.text);
    const auto config = ParsePeftConfig(c.text);
    EXPECT_EQ(config.status().code(), c.code);
    EXPECT_EQ(config.status().message(), c.message);
  }
  EXPECT_EQ(ParsePeftConfig(std::string(1000, '[')).status().code(), StatusCode::kDataLoss);
}

TEST(PeftConfigTest, PatternsSelectModulesByTheirLastComponents) {
  const auto config = ParsePeftConfig(R"({
    "peft_type": "LORA", "r": 8, "lora_alpha": 16.0, "use_rslora": null,
    "rank_pattern": {"blocks\\.1\\.att\\.key": 4, "^value$": 2},
    "alpha_pattern": {"ffn.key": 24}})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->RankOf("base_model.model.blocks.1.att.key"), 4);
  EXPECT_EQ(config->RankOf("blocks.11.att.key"), 8);
  EXPECT_EQ(config->RankOf("base_model.model.blocks.1.att.value"), 2);
  EXPECT_EQ(config->ScalingOf("model.layers.0.mlp.key", 8), 3.0);
  EXPECT_EQ(config->ScalingOf("blocks.0.att.key", 8), 2.0);
  EXPECT_EQ(config->ScalingOf("blocks.0.myffn.key", 8), 2.0);
}

}  // namespace
}  // namespace skein
