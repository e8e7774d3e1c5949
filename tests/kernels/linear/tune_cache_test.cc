#include "kernels/linear/tune_cache.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using testing::Optional;

class TuneCacheTest : public testing::Test {
 protected:
  TuneCacheTest()
      : directory_(absl::StrCat(testing::TempDir(), "/tune_cache_", getpid(), "_",
                                testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(directory_);
  }
  ~TuneCacheTest() override { std::filesystem::remove_all(directory_); }

  // A file with one choice; returns its path.
  std::string Keep(const std::string& fingerprint) {
    TuneCache cache(directory_, fingerprint);
    cache.Put("128x64 F16 8:F32", "tile 128 128 1 0");
    EXPECT_TRUE(cache.Save().ok());
    return cache.path();
  }
  std::optional<std::string> Found(const std::string& fingerprint) {
    return TuneCache(directory_, fingerprint).Find("128x64 F16 8:F32");
  }

  const std::string directory_;
};

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
void Overwrite(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

TEST_F(TuneCacheTest, GivesBackWhatAnEarlierRunKept) {
  Keep("gpu A");
  EXPECT_THAT(Found("gpu A"), Optional(std::string("tile 128 128 1 0")));
  EXPECT_EQ(TuneCache(directory_, "gpu A").Find("another"), std::nullopt);
}

TEST_F(TuneCacheTest, AddsToWhatIsThere) {
  Keep("gpu A");
  {
    TuneCache cache(directory_, "gpu A");
    cache.Put("more", "of it");
    ASSERT_TRUE(cache.Save().ok());
  }
  EXPECT_TRUE(Found("gpu A").has_value());
  EXPECT_THAT(TuneCache(directory_, "gpu A").Find("more"), Optional(std::string("of it")));
}

TEST_F(TuneCacheTest, DevicesHaveFilesOfTheirOwn) {
  Keep("gpu A");
  EXPECT_EQ(Found("gpu B"), std::nullopt);
  Keep("gpu B");
  EXPECT_TRUE(Found("gpu A").has_value());
}

TEST_F(TuneCacheTest, AFileOfAnotherDeviceUnderThisNameIsIgnored) {
  const std::string other = Keep("gpu A");
  Overwrite(TuneCache(directory_, "gpu B").path(), Contents(other));
  EXPECT_EQ(Found("gpu B"), std::nullopt);
}

TEST_F(TuneCacheTest, DamagedFilesAreIgnoredAndReplaced) {
  const std::string path = Keep("gpu A");
  const std::string whole = Contents(path);
  std::string flipped = whole;
  flipped[whole.find("128 128")] = '9';
  std::string older = whole;
  older.replace(0, 16, "skein products 0");
  for (const std::string& text :
       {std::string(), whole.substr(0, whole.size() / 2), flipped, older, std::string(1000, '\0'),
        whole + "more\n", std::string("check "), std::string("\n\n\n")}) {
    SCOPED_TRACE(text);
    Overwrite(path, text);
    EXPECT_EQ(Found("gpu A"), std::nullopt);
    Keep("gpu A");
    EXPECT_TRUE(Found("gpu A").has_value());
  }
}

TEST_F(TuneCacheTest, ADirectoryThatCannotBeWrittenIsAnErrorOfSaveOnly) {
  Overwrite(directory_, "a file");  // where the directory should be
  TuneCache cache(directory_, "gpu A");
  cache.Put("name", "choice");
  EXPECT_FALSE(cache.Save().ok());
  EXPECT_THAT(cache.Find("name"), Optional(std::string("choice")));
}

TEST_F(TuneCacheTest, AReadOnlyDirectoryIsNamedInTheError) {
  if (geteuid() == 0) GTEST_SKIP() << "root writes everywhere";
  std::filesystem::create_directories(directory_);
  std::filesystem::permissions(
      directory_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  TuneCache cache(directory_, "gpu A");
  cache.Put("name", "choice");
  const absl::Status status = cache.Save();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(directory_));
}

TEST_F(TuneCacheTest, NothingIsWrittenWithoutADirectoryOrNews) {
  TuneCache nowhere("", "gpu A");
  nowhere.Put("name", "choice");
  EXPECT_TRUE(nowhere.Save().ok());
  EXPECT_THAT(nowhere.Find("name"), Optional(std::string("choice")));
  TuneCache unchanged(directory_, "gpu A");
  EXPECT_TRUE(unchanged.Save().ok());
  EXPECT_FALSE(std::filesystem::exists(unchanged.path()));
}

}  // namespace
}  // namespace skein
