#include "common/text/hf_tokenizer.h"

#include <map>
#include <random>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/text/text_assembler.h"
#include "tests/common/text/text_testing.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

using ::testing::ElementsAre;

constexpr const char* kGolden[] = {"mini-q", "mini-c", "mini-o", "mini-t",
                                   "mini-g", "mini-s", "mini-d"};

std::unique_ptr<Tokenizer> LoadGolden(const std::string& name) {
  const auto path = GoldenPath("tokenizers/" + name + ".tokenizer.json");
  if (!path.has_value()) return nullptr;
  auto tokenizer = LoadTokenizer(*path);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

std::unique_ptr<Tokenizer> Load(const boost::json::object& file, const std::string& name,
                                const boost::json::object& config = {}) {
  const std::string folder = MakeFolder(name);
  WriteFile(folder + "/tokenizer.json", boost::json::serialize(file));
  if (!config.empty()) WriteFile(folder + "/tokenizer_config.json", boost::json::serialize(config));
  auto tokenizer = LoadTokenizer(folder + "/tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

// As a reply goes to a client, token by token.
std::string Stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  TextAssembler assembler(nullptr, {});
  std::string text;
  for (const int32_t id : ids) {
    if (!skip_special || !tokenizer.IsSpecial(id))
      text += assembler.Append(tokenizer.TokenBytes(id));
  }
  return text + assembler.Finish();
}

class HfGoldenTest : public ::testing::TestWithParam<const char*> {};

TEST_P(HfGoldenTest, EncodesAndDecodes) {
  const auto tokenizer = LoadGolden(GetParam());
  if (tokenizer == nullptr) GTEST_SKIP() << "no golden tokenizer";
  const auto lines = GoldenLines(std::string("tokenizers/") + GetParam() + ".jsonl");
  ASSERT_FALSE(lines.empty());
  for (const auto& line : lines) {
    const std::string text = Text(line.at("text"));
    SCOPED_TRACE(text);
    const std::vector<int32_t> ids = Ids(line.at("ids"));
    const std::vector<int32_t> ids_special = Ids(line.at("ids_special"));
    EXPECT_EQ(tokenizer->Encode(text, false), ids);
    EXPECT_EQ(tokenizer->Encode(text, true), ids_special);
    EXPECT_EQ(Decode(*tokenizer, ids, false), Text(line.at("decoded")));
    EXPECT_EQ(Decode(*tokenizer, ids_special, true), Text(line.at("decoded_skip")));
    EXPECT_EQ(Stream(*tokenizer, ids, false), Text(line.at("decoded")));
    EXPECT_EQ(Stream(*tokenizer, ids_special, true), Text(line.at("decoded_skip")));
  }
}

TEST_P(HfGoldenTest, DecodesArbitraryIds) {
  const auto tokenizer = LoadGolden(GetParam());
  if (tokenizer == nullptr) GTEST_SKIP() << "no golden tokenizer";
  int count = 0;
  for (const auto& line : GoldenLines("tokenizers/decode.jsonl")) {
    if (Text(line.at("tokenizer")) != GetParam()) continue;
    ++count;
    const std::vector<int32_t> ids = Ids(line.at("ids"));
    for (const bool skip : {false, true}) {
      const std::string expected = Text(line.at(skip ? "decoded_skip" : "decoded"));
      EXPECT_EQ(Decode(*tokenizer, ids, skip), expected);
      EXPECT_EQ(Stream(*tokenizer, ids, skip), expected);
    }
  }
  EXPECT_GT(count, 0);
}

INSTANTIATE_TEST_SUITE_P(All, HfGoldenTest, ::testing::ValuesIn(kGolden),
                         [](const auto& info) { return std::string("mini_") + info.param[5]; });

TEST(HfTokenizerTest, BytesThatAreNotUtf8ComeBack) {
  const auto tokenizer = Load(SmallTokenizerJson({"a b", "\u00E6 \u0139"}), "bytes");  // \xE6 \x97
  std::mt19937 random(8);
  for (int i = 0; i < 1000; ++i) {
    const std::string bytes = RandomBytes(random, 20) + RandomText(random, 5);
    std::string joined;
    for (const int32_t id : tokenizer->Encode(bytes, false))
      joined += std::string(tokenizer->TokenBytes(id));
    EXPECT_EQ(joined, bytes);
  }
}

TEST(HfTokenizerTest, KnowsItsIds) {
  const auto tokenizer = Load(SmallTokenizerJson({"a b"}), "ids");
  EXPECT_EQ(tokenizer->vocab_size(), 258);
  EXPECT_EQ(tokenizer->TokenId("<|end|>"), 257);
  EXPECT_EQ(tokenizer->TokenId("ab"), 256);
  EXPECT_EQ(tokenizer->TokenId(" "), ' ');
  EXPECT_EQ(tokenizer->TokenId("abc"), -1);
  EXPECT_TRUE(tokenizer->IsSpecial(257));
  EXPECT_FALSE(tokenizer->IsSpecial(256));
  for (const int32_t id : {-1, 258, 1 << 30}) {
    EXPECT_FALSE(tokenizer->IsToken(id));
    EXPECT_EQ(tokenizer->TokenBytes(id), "");
  }
  EXPECT_THAT(tokenizer->Encode("ab<|end|>", false), ElementsAre(256, 257));
}

TEST(HfTokenizerTest, IdsWithoutATokenAreNone) {
  auto file = SmallTokenizerJson({});
  file["added_tokens"].as_array()[0].as_object()["id"] = 300;
  const auto tokenizer = Load(file, "gap");
  EXPECT_FALSE(tokenizer->IsToken(299));
  EXPECT_TRUE(tokenizer->IsToken(300));
  EXPECT_EQ(Decode(*tokenizer, {'a', 299, 'b'}, false), "ab");
}

TEST(HfTokenizerTest, AddedTokensSwallowSpaceAndKeepToWords) {
  auto file = SmallTokenizerJson({});
  file["added_tokens"] = {
      {{"id", 300}, {"content", "<l>"}, {"lstrip", true}},
      {{"id", 301}, {"content", "<r>"}, {"rstrip", true}},
      {{"id", 302}, {"content", "cat"}, {"single_word", true}},
      {{"id", 303}, {"content", "<r>>"}},
  };
  const auto tokenizer = Load(file, "flags");
  struct Case {
    const char* text;
    std::vector<int32_t> ids;
  };
  for (const Case& c : {
           Case{"a \u3000<l> b", {'a', 300, ' ', 'b'}},
           Case{"a <r> \n b", {'a', ' ', 301, 'b'}},
           Case{"<r> <l>", {301, 300}},
           Case{"<r>>", {303}},
           Case{"cat", {302}},
           Case{"a cat.", {'a', ' ', 302, '.'}},
           Case{"cats", {'c', 'a', 't', 's'}},
           Case{"_cat", {'_', 'c', 'a', 't'}},
       }) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(tokenizer->Encode(c.text, false), c.ids);
  }
}

TEST(HfTokenizerTest, TokensOfTheConfigAreUnitedAndItsFlagsCount) {
  const boost::json::object config = {{"added_tokens_decoder",
                                       {{"256", {{"content", "<|end|>"}, {"special", false}}},
                                        {"400", {{"content", "<extra>"}, {"special", true}}}}}};
  const auto tokenizer = Load(SmallTokenizerJson({}), "config", config);
  EXPECT_FALSE(tokenizer->IsSpecial(256));
  EXPECT_TRUE(tokenizer->IsSpecial(400));
  EXPECT_THAT(tokenizer->Encode("a<extra><|end|>", false), ElementsAre('a', 400, 256));
}

TEST(HfTokenizerTest, DigitsAreCutAsAsked) {
  auto file = SmallTokenizerJson({"1 2", "12 3"});
  const auto byte_level = file["pre_tokenizer"];
  for (const bool individual : {true, false}) {
    file["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", individual}}, byte_level}}};
    const std::vector<int32_t> each = {'a', '1', '2', '3'};
    const std::vector<int32_t> together = {'a', 257};
    EXPECT_EQ(Load(file, "digits")->Encode("a123", false), individual ? each : together);
  }
}

TEST(HfTokenizerTest, ThreadsShareOneTokenizer) {
  const auto tokenizer = Load(SmallTokenizerJson({"a b", "ab c"}), "threads");
  std::mt19937 random(9);
  const std::string text = RandomText(random, 2000) + "abcab<|end|>";
  const std::vector<int32_t> expected = tokenizer->Encode(text, false);
  std::vector<std::thread> threads;
  std::vector<std::vector<int32_t>> results(4);
  threads.reserve(results.size());
  for (auto& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) result = tokenizer->Encode(text, false);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace skein
