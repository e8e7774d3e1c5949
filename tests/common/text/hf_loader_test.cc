// Tokenizer files that must be refused, each with an error that says why.
#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/text/tokenizer.h"
#include "tests/common/text/text_testing.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

absl::Status LoadText(const std::string& text, const std::string& config = "") {
  const std::string folder = MakeFolder("damaged");
  WriteFile(folder + "/tokenizer.json", text);
  if (!config.empty()) WriteFile(folder + "/tokenizer_config.json", config);
  return LoadTokenizer(folder + "/tokenizer.json").status();
}

json::object& Model(json::object& file) { return file["model"].as_object(); }
json::object& Vocab(json::object& file) { return Model(file)["vocab"].as_object(); }
json::object& Added(json::object& file) { return file["added_tokens"].as_array()[0].as_object(); }

TEST(HfLoaderTest, TheUndamagedFileLoads) {
  const absl::Status status = LoadText(json::serialize(SmallTokenizerJson({"a b"})));
  EXPECT_TRUE(status.ok()) << status;
}

struct Damage {
  const char* message;
  std::function<void(json::object&)> apply;
};

void ExpectNamed(const std::vector<Damage>& damages) {
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.message);
    json::object file = SmallTokenizerJson({"a b"});
    damage.apply(file);
    const absl::Status status = LoadText(json::serialize(file));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(damage.message));
    EXPECT_THAT(std::string(status.message()), HasSubstr("tokenizer.json: "));
  }
}

TEST(HfLoaderTest, DamageOfTheModelIsNamed) {
  ExpectNamed({
      {"model: missing", [](json::object& f) { f.erase("model"); }},
      {"model: array, expected an object", [](json::object& f) { f["model"] = json::array(); }},
      {"model.vocab: missing", [](json::object& f) { Model(f).erase("vocab"); }},
      {"model.vocab: array, expected an object",
       [](json::object& f) { Model(f)["vocab"] = json::array(); }},
      {"model.vocab: \"a\" has no id", [](json::object& f) { Vocab(f)["a"] = "x"; }},
      {"model.vocab: \"a\" has no id", [](json::object& f) { Vocab(f)["a"] = -1; }},
      {"model.vocab: \"a\" has no id", [](json::object& f) { Vocab(f)["a"] = 1.5; }},
      {"model.vocab: \"a\" has no id", [](json::object& f) { Vocab(f)["a"] = int64_t{1} << 40; }},
      {"model.vocab: id 98 for both", [](json::object& f) { Vocab(f)["a"] = 98; }},
      {"model.vocab: an empty token", [](json::object& f) { Vocab(f)[""] = 300; }},
      {"model.merges: missing", [](json::object& f) { Model(f).erase("merges"); }},
      {"model.merges[0]: expected", [](json::object& f) { Model(f)["merges"] = {"ab"}; }},
      {"model.merges[0]: expected", [](json::object& f) { Model(f)["merges"] = {"a b c"}; }},
      {"model.merges[0]: expected",
       [](json::object& f) { Model(f)["merges"] = {json::array{"a"}}; }},
      {"model.merges[0]: \"xy\" is not in", [](json::object& f) { Model(f)["merges"] = {"x y"}; }},
      {"model.merges[0]: \"\" is not in", [](json::object& f) { Model(f)["merges"] = {" b"}; }},
      {"model.ignore_merges: string", [](json::object& f) { Model(f)["ignore_merges"] = "yes"; }},
  });
}

TEST(HfLoaderTest, DamageOfAddedTokensIsNamed) {
  ExpectNamed({
      {"added_tokens: object", [](json::object& f) { f["added_tokens"] = json::object(); }},
      {"added_tokens[0]: expected an object", [](json::object& f) { f["added_tokens"] = {5}; }},
      {"added_tokens[0]: no id", [](json::object& f) { Added(f).erase("id"); }},
      {"added_tokens[0].content: missing", [](json::object& f) { Added(f).erase("content"); }},
      {"added_tokens[0].special: int64", [](json::object& f) { Added(f)["special"] = 1; }},
      {"added token \"<|end|>\": id 97, which is \"a\"",
       [](json::object& f) { Added(f)["id"] = 97; }},
      {"added token \"a\": ids 257 and 97", [](json::object& f) { Added(f)["content"] = "a"; }},
      {"id 257 for both",
       [](json::object& f) {
         f["added_tokens"].as_array().push_back({{"id", 257}, {"content", "<other>"}});
       }},
      {"added token \"<|end|>\": ids",
       [](json::object& f) {
         f["added_tokens"].as_array().push_back({{"id", 258}, {"content", "<|end|>"}});
       }},
  });
}

json::object SplitBy(const json::object& pattern, const char* behavior) {
  return {{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}};
}

TEST(HfLoaderTest, DamageOfThePipelineIsNamed) {
  const json::object with_id = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"<s>", {{"ids", {9999}}}}}}};
  ExpectNamed({
      {"normalizer: string, expected an object", [](json::object& f) { f["normalizer"] = "NFC"; }},
      {"pre_tokenizer.type: missing", [](json::object& f) { f["pre_tokenizer"] = json::object(); }},
      {"pre_tokenizer.pretokenizers: missing",
       [](json::object& f) {
         f["pre_tokenizer"] = {{"type", "Sequence"}};
       }},
      {"pre_tokenizer: pattern: missing",
       [](json::object& f) {
         f["pre_tokenizer"] = {{"type", "Split"}};
       }},
      {"pre_tokenizer: pattern (a: missing closing parenthesis",
       [](json::object& f) {
         f["pre_tokenizer"] = SplitBy({{"Regex", "(a"}}, "Isolated");
       }},
      {"pre_tokenizer: an empty pattern",
       [](json::object& f) {
         f["pre_tokenizer"] = SplitBy({{"String", ""}}, "Isolated");
       }},
      {"pre_tokenizer.behavior: \"Shuffled\"",
       [](json::object& f) {
         f["pre_tokenizer"] = SplitBy({{"String", "a"}}, "Shuffled");
       }},
      {"post_processor.single: missing",
       [](json::object& f) {
         f["post_processor"] = {{"type", "TemplateProcessing"}};
       }},
      {"post_processor.single: no Sequence",
       [](json::object& f) {
         f["post_processor"] = {{"type", "TemplateProcessing"}, {"single", json::array()}};
       }},
      {"no ids for \"<s>\"",
       [&](json::object& f) {
         f["post_processor"] = with_id;
         f["post_processor"].as_object().erase("special_tokens");
       }},
      {"post_processor: id 9999 has no token",
       [&](json::object& f) { f["post_processor"] = with_id; }},
  });
}

TEST(HfLoaderTest, WhatIsNotJsonIsNamed) {
  const std::string good = json::serialize(SmallTokenizerJson({}));
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  for (const std::string& text :
       {std::string(), std::string(" \n "), std::string("{"), good.substr(0, good.size() / 2),
        good + "x", std::string("{\"a\": \"\xFF\"}"), std::string("{\"a\": \"\\ud800\"}"), deep,
        std::string("<html>"), std::string("\0\0\0\0", 4)}) {
    SCOPED_TRACE(text.substr(0, 40));
    EXPECT_EQ(LoadText(text).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(HfLoaderTest, AFileCutAnywhereIsRefused) {
  const std::string good = json::serialize(SmallTokenizerJson({"a b"}));
  for (size_t length = 1; length < good.size(); length += 41) {
    EXPECT_EQ(LoadText(good.substr(0, length)).code(), absl::StatusCode::kInvalidArgument)
        << length;
  }
}

TEST(HfLoaderTest, ADamagedConfigIsNamed) {
  const std::string good = json::serialize(SmallTokenizerJson({}));
  struct Case {
    const char* config;
    const char* message;
  };
  for (const Case& c : {
           Case{"[]", "expected an object"},
           Case{R"({"added_tokens_decoder": []})", "tokenizer_config.added_tokens_decoder: array"},
           Case{R"({"added_tokens_decoder": {"x": {"content": "a"}}})",
                "added_tokens_decoder[\"x\"]: no id"},
           Case{R"({"added_tokens_decoder": {"-3": {"content": "a"}}})",
                "added_tokens_decoder[\"-3\"]: no id"},
           Case{R"({"added_tokens_decoder": {"256": {"content": "a"}}})", "id 256 for both"},
           Case{R"({"added_tokens_decoder": {"300": {"content": "<|end|>"}}})", "ids 300 and 256"},
       }) {
    SCOPED_TRACE(c.config);
    const absl::Status status = LoadText(good, c.config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(HfLoaderTest, PartsThatAreNotHereAreNamed) {
  struct Case {
    const char* message;
    std::function<void(json::object&)> change;
  };
  for (const Case& c : {
           Case{"model Unigram", [](json::object& f) { Model(f)["type"] = "Unigram"; }},
           Case{"model WordPiece", [](json::object& f) { Model(f)["type"] = "WordPiece"; }},
           Case{"BPE byte_fallback", [](json::object& f) { Model(f)["byte_fallback"] = true; }},
           Case{"BPE end_of_word_suffix",
                [](json::object& f) { Model(f)["end_of_word_suffix"] = "</w>"; }},
           Case{"BPE dropout", [](json::object& f) { Model(f)["dropout"] = 0.1; }},
           Case{"normalizer Lowercase",
                [](json::object& f) {
                  f["normalizer"] = {{"type", "Lowercase"}};
                }},
           Case{"decoder WordPiece",
                [](json::object& f) {
                  f["decoder"] = {{"type", "WordPiece"}};
                }},
           Case{"without the ByteLevel decoder", [](json::object& f) { f["decoder"] = nullptr; }},
           Case{"without the ByteLevel pre_tokenizer",
                [](json::object& f) { f["pre_tokenizer"] = nullptr; }},
           Case{"pre_tokenizer Whitespace",
                [](json::object& f) {
                  f["pre_tokenizer"] = {{"type", "Whitespace"}};
                }},
           Case{"pre_tokenizer Digits after ByteLevel",
                [](json::object& f) {
                  f["pre_tokenizer"] = {
                      {"type", "Sequence"},
                      {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "Digits"}}}}};
                }},
           Case{"post_processor BertProcessing",
                [](json::object& f) {
                  f["post_processor"] = {{"type", "BertProcessing"}};
                }},
           Case{"a pattern with \\h",
                [](json::object& f) {
                  f["pre_tokenizer"] = {
                      {"type", "Split"}, {"pattern", {{"Regex", "\\h"}}}, {"behavior", "Isolated"}};
                }},
       }) {
    SCOPED_TRACE(c.message);
    json::object file = SmallTokenizerJson({"a b"});
    c.change(file);
    const absl::Status status = LoadText(json::serialize(file));
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(HfLoaderTest, GoldenTokenizersOfOtherKindsAreRefusedByName) {
  struct Case {
    const char* name;
    std::vector<const char*> parts;
  };
  for (const Case& c : {
           Case{"mini-sp",
                {"normalizer Prepend", "normalizer Replace", "BPE byte_fallback",
                 "decoder ByteFallback"}},
           Case{"mini-ms", {"pre_tokenizer Metaspace", "BPE byte_fallback"}},
           Case{"mini-u", {"normalizer NFKC", "pre_tokenizer Metaspace", "model Unigram"}},
       }) {
    SCOPED_TRACE(c.name);
    const auto path = GoldenPath(std::string("tokenizers/") + c.name + ".tokenizer.json");
    if (!path.has_value()) GTEST_SKIP() << "no golden tokenizers";
    const absl::Status status = LoadTokenizer(*path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    for (const char* part : c.parts) EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
}

TEST(HfLoaderTest, MissingFilesAndFoldersAreNotTokenizers) {
  EXPECT_EQ(LoadTokenizer("/nowhere/tokenizer.json").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadTokenizer(MakeFolder("folder")).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace skein
