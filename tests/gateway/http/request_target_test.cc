#include "gateway/http/request_target.h"

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(RequestTargetTest, CutsPathAndQuery) {
  struct Case {
    const char* target;
    const char* path;
    const char* query;
  };
  for (const Case& c : {
           Case{"/", "/", ""},
           Case{"/a/b", "/a/b", ""},
           Case{"/a?b=c", "/a", "b=c"},
           Case{"/?x", "/", "x"},
           Case{"/a?b?c%20", "/a", "b?c%20"},
           Case{"/%61+%20b", "/a+ b", ""},
           Case{"/%F0%9F%98%80", "/\xf0\x9f\x98\x80", ""},
           Case{"http://h:80/a?b", "/a", "b"},
           Case{"HTTP://h?q", "/", "q"},
           Case{"http://h", "/", ""},
           Case{"*", "*", ""},
       }) {
    SCOPED_TRACE(c.target);
    const auto target = ParseRequestTarget(c.target);
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->path, c.path);
    EXPECT_EQ(target->query, c.query);
  }
}

TEST(RequestTargetTest, RefusesWhatIsNoPath) {
  for (const char* target :
       {"", "a", "?x", "*x", "http://", "http:///a", "ftp://h/a", "/%", "/%4", "/%g0", "/%2F",
        "/%7f", "/./a", "/a/.", "/%2e./a", "/%80", "/%e2%82", "/%f5%80%80%80", "/%f4%90%80%80"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseRequestTarget(target).status())) << target;
  }
}

}  // namespace
}  // namespace skein
