#include "gateway/access/key_table.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "common/config/text_proto.h"

namespace skein {
namespace {

// printf %s KEY | sha256sum
constexpr char kHashOfAlpha[] = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
constexpr char kHashOfBeta[] = "f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753";

absl::StatusOr<std::shared_ptr<const KeyTable>> TableOf(const std::string& text,
                                                        const KeyTable* before = nullptr) {
  config::v1::KeysFile file;
  EXPECT_TRUE(ParseTextProto(text, "keys", file).ok());
  return KeyTable::Create(file, before);
}

std::string KeyText(const std::string& name, const std::string& hash,
                    const std::string& more = "") {
  return absl::StrCat("key { name: '", name, "' sha256: '", hash, "' role: 'inference' ", more,
                      "}\n");
}

TEST(KeyTableTest, FindsKeysByTheirHash) {
  const auto table = TableOf(KeyText("a", kHashOfAlpha) + KeyText("b", kHashOfBeta));
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_NE((*table)->Find("alpha"), nullptr);
  EXPECT_EQ((*table)->Find("alpha")->name, "a");
  EXPECT_EQ((*table)->Find("beta")->name, "b");
  for (const char* wrong : {"", "gamma", "Alpha", "alpha ", kHashOfAlpha}) {
    EXPECT_EQ((*table)->Find(wrong), nullptr) << wrong;
  }
}

TEST(KeyTableTest, AKeyMayHaveTwoHashesWhileItIsReplaced) {
  const auto table =
      TableOf(KeyText("a", kHashOfAlpha, absl::StrCat("sha256: '", kHashOfBeta, "'")));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->size(), 1u);
  EXPECT_EQ((*table)->Find("alpha"), (*table)->Find("beta"));
}

TEST(KeyTableTest, LimitsStayWithTheName) {
  const auto first = TableOf(KeyText("a", kHashOfAlpha, "requests_per_minute: 1"));
  ASSERT_TRUE(first.ok());
  const auto second = TableOf(KeyText("a", kHashOfBeta) + KeyText("b", kHashOfAlpha), first->get());
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->Find("beta")->limits, (*first)->Find("alpha")->limits);
  EXPECT_NE((*second)->Find("alpha")->limits, (*first)->Find("alpha")->limits);
}

TEST(KeyTableTest, RolesDoNotImplyEachOther) {
  const auto table =
      TableOf(KeyText("a", kHashOfAlpha) + absl::StrCat("key { name: 'b' sha256: '", kHashOfBeta,
                                                        "' role: 'admin' role: 'metrics' }"));
  ASSERT_TRUE(table.ok());
  const auto inference = (*table)->Find("alpha");
  const auto other = (*table)->Find("beta");
  for (const Role role : {Role::kMetrics, Role::kAdmin}) {
    EXPECT_FALSE(inference->Has(role));
    EXPECT_TRUE(other->Has(role));
  }
  EXPECT_TRUE(inference->Has(Role::kInference));
  EXPECT_FALSE(other->Has(Role::kInference));
  EXPECT_TRUE(other->Has(Role::kOpen));
}

TEST(KeyTableTest, PatternsMatchWholeNames) {
  struct Case {
    const char* pattern;
    const char* text;
    bool matches;
  };
  for (const Case& c :
       {Case{"demo", "demo", true}, Case{"demo", "demo2", false}, Case{"demo", "", false},
        Case{"*", "", true}, Case{"*", "org/x", true}, Case{"rwkv*", "rwkv7-1.5b", true},
        Case{"*-b", "a-b-b", true}, Case{"a*b*c", "a-b-b-c", true}, Case{"a*b*c", "a-c-b", false},
        Case{"v?", "v7", true}, Case{"v?", "v", false}, Case{"**a**", "bab", true},
        Case{"", "", true}, Case{"", "a", false}}) {
    EXPECT_EQ(MatchesPattern(c.pattern, c.text), c.matches) << c.pattern << " " << c.text;
  }
  const std::string text(20000, 'a');
  EXPECT_FALSE(MatchesPattern("*a*a*a*a*a*a*b", text));  // in time
}

TEST(KeyTableTest, WhatMakesNoSenseIsRefusedByName) {
  struct Case {
    std::string text;
    const char* says;
  };
  const std::string hash(kHashOfAlpha);
  for (const Case& c :
       {Case{"", "key: none"}, Case{KeyText("a b", hash), "key \"a b\": name:"},
        Case{KeyText("", hash), "name:"},
        Case{KeyText("a", "sk-my-secret"), "12 characters, expected 64 hexadecimal digits"},
        Case{"key { name: 'a' role: 'admin' }", "sha256: missing"},
        Case{KeyText("a", hash, "role: 'root'"), "role: \"root\", expected inference"},
        Case{absl::StrCat("key { name: 'a' sha256: '", hash, "' }"), "role: missing"},
        Case{KeyText("a", hash, "expires: 'tomorrow'"), "expires: \"tomorrow\""},
        Case{KeyText("a", hash, "tokens_per_minute: 2000000000"), "tokens_per_minute:"},
        Case{KeyText("a", hash) + KeyText("a", kHashOfBeta), "the name is given twice"},
        Case{KeyText("a", hash) + KeyText("b", absl::AsciiStrToUpper(hash)),
             "key \"b\": sha256: another key"}}) {
    const auto table = TableOf(c.text);
    ASSERT_TRUE(absl::IsInvalidArgument(table.status())) << c.says;
    EXPECT_TRUE(absl::StrContains(table.status().message(), c.says)) << table.status();
    EXPECT_FALSE(absl::StrContains(table.status().message(), "my-secret"));
  }
}

}  // namespace
}  // namespace skein
