#include "worker/registry/entry.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(EntryTest, NamesAreWordsOfAnyLanguage) {
  for (const std::string good :
       {"a", "pirate-2", "RWKV x070 7B Persona", "org/name.v1", "日本語", "é", "3", "ä+b_c"}) {
    EXPECT_TRUE(CheckEntryName(good).ok()) << good;
  }
  for (const std::string bad : {"", " a", "a ", "-a", "a/", "../a", "a:1", "a,b", "a\nb", "a\"b",
                                "a\\b", "a\x7f", "\xff", "a\xc3", "zero\xe2\x82"}) {
    EXPECT_EQ(CheckEntryName(bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_TRUE(CheckEntryName(std::string(128, 'a')).ok());
  EXPECT_FALSE(CheckEntryName(std::string(129, 'a')).ok());
  EXPECT_FALSE(CheckEntryName(std::string("a\0b", 3)).ok());
}

TEST(EntryTest, DefaultsAreWhatSamplingTakes) {
  EXPECT_TRUE(CheckDefaults({}).ok());
  EXPECT_TRUE(CheckDefaults({.temperature = 0, .top_p = 1}).ok());
  for (const SamplingDefaults& bad : {SamplingDefaults{.temperature = -1, .top_p = {}},
                                      SamplingDefaults{.temperature = NAN, .top_p = {}},
                                      SamplingDefaults{.temperature = {}, .top_p = 1.5f}}) {
    const absl::Status status = CheckDefaults(bad);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message().substr(0, 9), "defaults.");
  }
}

}  // namespace
}  // namespace skein
