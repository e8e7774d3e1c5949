// Encodings by the vocabularies of real models, where their npm packages are installed: in
// $SKEIN_NPM_DIR, or in tests/e2e/node/node_modules.
#include <cstdlib>
#include <filesystem>
#include <map>

#include "gtest/gtest.h"

#include "common/text/tokenizer.h"
#include "tests/common/text/text_testing.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

std::string PackageFile(const std::string& package) {
  const char* folder = std::getenv("SKEIN_NPM_DIR");
  const std::string root = folder != nullptr ? folder : SourcePath("tests/e2e/node/node_modules");
  return root + "/" + package + "/models/tokenizer.json";
}

TEST(RealVocabularyTest, EncodesAndDecodesTheGoldenLines) {
  std::map<std::string, std::unique_ptr<Tokenizer>> tokenizers;
  int compared = 0;
  for (const auto& line : GoldenLines("tokenizers/real.jsonl")) {
    const std::string package = Text(line.at("package"));
    if (!tokenizers.contains(package)) {
      std::unique_ptr<Tokenizer>& loaded = tokenizers[package];
      if (!std::filesystem::exists(PackageFile(package))) continue;
      auto tokenizer = LoadTokenizer(PackageFile(package));
      ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
      loaded = *std::move(tokenizer);
    }
    if (tokenizers[package] == nullptr) continue;
    const std::vector<int32_t> ids = Ids(line.at("ids"));
    EXPECT_EQ(tokenizers[package]->Encode(Text(line.at("text")), false), ids)
        << package << Text(line.at("text"));
    EXPECT_EQ(Decode(*tokenizers[package], ids, false), Text(line.at("decoded")));
    ++compared;
  }
  if (compared == 0) GTEST_SKIP() << "no golden lines, or none of their npm packages";
}

}  // namespace
}  // namespace skein
