#include "tools/skein-eval/make_model.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include <gtest/gtest.h>

#include "common/text/model_text.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "tools/random_model/config.h"
#include "tools/random_model/shapes.h"
#include "tools/skein-eval/synthetic_vocab.h"
#include "worker/weights/model_files.h"

namespace skein::eval {
namespace {

using random_model::ConfigJson;
using random_model::FindShape;
using random_model::GenerationConfigJson;
using random_model::ModelShape;
using random_model::PlannedTensor;
using random_model::PlanTensors;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

MakeModelOptions Options(const std::string& shape, const std::string& folder) {
  MakeModelOptions options;
  options.shape = *FindShape(shape);
  options.folder = folder;
  return options;
}

TEST(MakeModelTest, WritesEveryPlannedTensor) {
  for (const char* name : {"tiny", "hybrid-tiny"}) {
    for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF32}) {
      SCOPED_TRACE(absl::StrCat(name, " ", DTypeName(dtype)));
      const TempFolder folder;
      MakeModelOptions options = Options(name, folder.File("model"));
      options.dtype = dtype;
      ASSERT_TRUE(MakeModel(options).ok());
      const auto files = ModelFiles::Open(options.folder);
      ASSERT_TRUE(files.ok()) << files.status();
      const std::vector<PlannedTensor> plan = PlanTensors(options.shape);
      EXPECT_EQ((*files)->tensors().size(), plan.size());
      for (const PlannedTensor& tensor : plan) {
        const TensorEntry* entry = (*files)->Find(tensor.name);
        ASSERT_NE(entry, nullptr) << tensor.name;
        EXPECT_EQ(entry->shape, tensor.shape) << tensor.name;
        EXPECT_EQ(entry->dtype, dtype) << tensor.name;
      }
    }
  }
}

std::map<std::string, std::string> Content(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    files[file.path().filename().string()] = ReadFile(file.path().string());
  }
  return files;
}

TEST(MakeModelTest, GivesTheSameFilesForTheSameSeed) {
  const TempFolder folder;
  MakeModelOptions options = Options("hybrid-tiny", folder.File("a"));
  options.seed = 7;
  ASSERT_TRUE(MakeModel(options).ok());
  options.folder = folder.File("b");
  ASSERT_TRUE(MakeModel(options).ok());
  EXPECT_EQ(Content(folder.File("a")), Content(folder.File("b")));
  options.folder = folder.File("c");
  options.seed = 8;
  ASSERT_TRUE(MakeModel(options).ok());
  EXPECT_NE(Content(folder.File("a"))["model.safetensors"],
            Content(folder.File("c"))["model.safetensors"]);
}

TEST(MakeModelTest, CutsLargeModelsIntoFilesWithAnIndex) {
  const TempFolder folder;
  MakeModelOptions options = Options("tiny", folder.File("whole"));
  ASSERT_TRUE(MakeModel(options).ok());
  options.folder = folder.File("cut");
  options.max_file_bytes = 300'000;
  ASSERT_TRUE(MakeModel(options).ok());
  EXPECT_FALSE(std::filesystem::exists(folder.File("cut/model.safetensors")));
  const auto whole = ModelFiles::Open(folder.File("whole"));
  const auto cut = ModelFiles::Open(folder.File("cut"));
  ASSERT_TRUE(whole.ok() && cut.ok()) << cut.status();
  ASSERT_EQ((*cut)->tensors().size(), (*whole)->tensors().size());
  for (const auto& [name, entry] : (*whole)->tensors()) {
    const TensorEntry* other = (*cut)->Find(name);
    ASSERT_NE(other, nullptr) << name;
    const size_t bytes = NumElements(entry.shape) * DTypeBytes(entry.dtype);
    EXPECT_EQ(std::memcmp(entry.data, other->data, bytes), 0) << name;
  }
}

TEST(MakeModelTest, FailsWhereItCannotWrite) {
  const TempFolder folder;
  const std::string file = folder.Write("file", "");
  EXPECT_EQ(MakeModel(Options("tiny", file + "/model")).code(), absl::StatusCode::kUnavailable);
}

TEST(MakeModelTest, LeavesOtherFilesAlone) {
  const TempFolder folder;
  folder.Write("precious.pth", "weights");
  EXPECT_EQ(MakeModel(Options("tiny", folder.path())).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Content(folder.path()).size(), 1u);
}

TEST(SyntheticVocabTest, WorldVocabulariesLoadAndCompress) {
  for (const int64_t vocab : {int64_t{259}, int64_t{512}, int64_t{65536}}) {
    SCOPED_TRACE(vocab);
    const TempFolder folder;
    folder.Write("rwkv_vocab_v20230424.txt", WorldVocabulary(vocab));
    const auto text = LoadModelText(folder.path(), "", "");
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(text->tokenizer->vocab_size(), std::min<int64_t>(vocab, 65530));
    const std::string sample = "The bane of many a banana\n\xff\x01\xf0\x9f\x98\x80 'q' \\ \x7f";
    const std::vector<int32_t> ids = text->tokenizer->Encode(sample, false);
    std::string bytes;
    for (const int32_t id : ids) bytes += std::string(text->tokenizer->TokenBytes(id));
    EXPECT_EQ(bytes, sample);
    ASSERT_NE(text->chat, nullptr);
    EXPECT_EQ(std::string(text->chat->name), "world");
    const size_t pieces = text->tokenizer->Encode(" bana", false).size();
    EXPECT_EQ(pieces == 1, vocab == 65536) << pieces;
  }
}

TEST(SyntheticVocabTest, BpeTokenizersLoadAndReachTheirWords) {
  for (const int64_t vocab : {int64_t{259}, int64_t{512}, int64_t{151936}}) {
    SCOPED_TRACE(vocab);
    const TempFolder folder;
    ModelShape shape = *FindShape("hybrid-tiny");
    shape.vocab = vocab;
    folder.Write("config.json", ConfigJson(shape, DType::kBF16));
    folder.Write("generation_config.json", GenerationConfigJson(shape));
    folder.Write("tokenizer.json", BpeTokenizerJson(vocab));
    folder.Write("tokenizer_config.json", BpeTokenizerConfigJson());
    const auto text = LoadModelText(folder.path(), "", "");
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(text->tokenizer->vocab_size(), vocab);
    EXPECT_EQ(text->tokenizer->TokenId("<|im_end|>"), vocab - 1);
    EXPECT_EQ(text->end_tokens, std::vector<int32_t>({static_cast<int32_t>(vocab - 3),
                                                      static_cast<int32_t>(vocab - 1)}));
    ASSERT_NE(text->chat, nullptr);
    EXPECT_EQ(std::string(text->chat->name), "chatml");
    const std::string sample = "a bane, many bananas: \xf0\x9f\x98\x80\n\n\"x\" \\ y";
    EXPECT_EQ(Decode(*text->tokenizer, text->tokenizer->Encode(sample, false), false), sample);
    // Every token of the vocabulary is what its own text is encoded to.
    for (int32_t id = 256; id < vocab - 3; id += 97) {
      const std::string word(text->tokenizer->TokenBytes(id));
      EXPECT_EQ(text->tokenizer->Encode(word, false), std::vector<int32_t>{id}) << word;
    }
  }
}

}  // namespace
}  // namespace skein::eval
