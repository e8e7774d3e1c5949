#include "worker/registry/roots.h"

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/worker/weights/checkpoint_writer.h"

namespace skein {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr FileRoots::Setting kSetting = {"the.root", "--the-root"};

class RootsTest : public ::testing::Test {
 protected:
  RootsTest() {
    folder_.Write("one/a.pth", "a");
    folder_.Write("one/deep/b.pth", "b");
    folder_.Write("two/a.pth", "other a");
    folder_.Write("two/c.pth", "c");
    folder_.Write("one-too/d.pth", "a neighbour");
    folder_.Write("secret/key.pth", "s");
    fs::create_symlink(folder_.File("one/a.pth"), folder_.File("one/inside.pth"));
    fs::create_symlink(folder_.File("secret/key.pth"), folder_.File("one/out.pth"));
    fs::create_directory_symlink(folder_.File("secret"), folder_.File("one/out"));
    fs::create_directory_symlink(folder_.File("one"), folder_.File("alias"));
  }
  FileRoots Roots() {
    return *FileRoots::Create({folder_.File("alias"), folder_.File("two/")}, kSetting);
  }

  TempFolder folder_;
};

TEST_F(RootsTest, PathsAreRelativeToTheFirstRootThatHasThemOrAbsoluteInOne) {
  struct Case {
    std::string path, found, shown;
  };
  const FileRoots roots = Roots();
  for (const Case& c : {Case{"a.pth", "one/a.pth", "a.pth"}, Case{"c.pth", "two/c.pth", "c.pth"},
                        Case{"./deep//b.pth", "one/deep/b.pth", "deep/b.pth"},
                        Case{"inside.pth", "one/a.pth", "a.pth"},
                        Case{folder_.File("two/c.pth"), "two/c.pth", "c.pth"},
                        Case{folder_.File("alias/a.pth"), "one/a.pth", "a.pth"}}) {
    const auto file = roots.Find(c.path);
    ASSERT_TRUE(file.ok()) << c.path << ": " << file.status();
    EXPECT_EQ(file->path, folder_.File(c.found));
    EXPECT_EQ(file->shown, c.shown);
  }
}

TEST_F(RootsTest, NothingOutsideIsReachedAndNothingIsToldOfIt) {
  struct Case {
    std::string path;
    absl::StatusCode code;
  };
  const FileRoots roots = Roots();
  for (const Case& c :
       {Case{"", absl::StatusCode::kInvalidArgument},
        Case{std::string(5000, 'a'), absl::StatusCode::kInvalidArgument},
        Case{std::string("a.pth\0b", 7), absl::StatusCode::kInvalidArgument},
        Case{"../secret/key.pth", absl::StatusCode::kInvalidArgument},
        Case{"deep/../a.pth", absl::StatusCode::kInvalidArgument},
        Case{folder_.File("one/../secret/key.pth"), absl::StatusCode::kInvalidArgument},
        Case{folder_.File("secret/key.pth"), absl::StatusCode::kPermissionDenied},
        Case{folder_.File("secret/none.pth"), absl::StatusCode::kPermissionDenied},
        Case{folder_.File("one-too/d.pth"), absl::StatusCode::kPermissionDenied},
        Case{"/etc/passwd", absl::StatusCode::kPermissionDenied},
        Case{"out.pth", absl::StatusCode::kPermissionDenied},
        Case{"out/key.pth", absl::StatusCode::kPermissionDenied},
        Case{"out/none.pth", absl::StatusCode::kPermissionDenied},
        Case{"none.pth", absl::StatusCode::kNotFound},
        Case{folder_.File("two/none.pth"), absl::StatusCode::kNotFound}}) {
    const absl::Status status = roots.Find(c.path).status();
    EXPECT_EQ(status.code(), c.code) << c.path << ": " << status;
    if (fs::path(c.path).is_absolute()) continue;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(folder_.path())));
  }
}

TEST_F(RootsTest, WithoutRootsThereAreNoFiles) {
  const absl::Status status = FileRoots::Create({}, kSetting)->Find("a.pth").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("(the.root, --the-root)"));
  for (const char* none : {"none", "one/a.pth"}) {
    EXPECT_EQ(FileRoots::Create({folder_.File(none)}, kSetting).status().code(),
              absl::StatusCode::kNotFound);
  }
}

}  // namespace
}  // namespace skein
