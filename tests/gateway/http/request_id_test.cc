#include "gateway/http/request_id.h"

#include <string>

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(RequestIdTest, NewIdsAreSaneAndDiffer) {
  const std::string id = NewRequestId();
  EXPECT_EQ(id.size(), 28u);
  EXPECT_TRUE(IsSaneRequestId(id));
  EXPECT_NE(id, NewRequestId());
}

TEST(RequestIdTest, SaneIdsAreShortAndPlain) {
  for (const std::string& id :
       {std::string("a"), std::string(128, 'x'), std::string("A-z_0.9:/+=@")}) {
    EXPECT_TRUE(IsSaneRequestId(id)) << id;
  }
  for (const std::string& id :
       {std::string(), std::string(129, 'x'), std::string("a b"), std::string("a\nb"),
        std::string("a\"b"), std::string("\xc3\xa9"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(IsSaneRequestId(id)) << id;
  }
}

}  // namespace
}  // namespace skein
