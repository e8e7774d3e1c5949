#include "common/config/address.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

TEST(AddressTest, HostAndPortAreTakenApartAndPutTogether) {
  struct Case {
    const char* text;
    const char* host;
    int port;
  };
  for (const Case& c :
       {Case{"127.0.0.1:50051", "127.0.0.1", 50051}, Case{"[::1]:8080", "::1", 8080},
        Case{"worker-0.skein.svc:0", "worker-0.skein.svc", 0},
        Case{"0.0.0.0:65535", "0.0.0.0", 65535}}) {
    SCOPED_TRACE(c.text);
    const absl::StatusOr<HostPort> parsed = ParseHostPort(c.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->host, c.host);
    EXPECT_EQ(parsed->port, c.port);
    EXPECT_EQ(FormatHostPort(parsed->host, parsed->port), c.text);
  }
}

TEST(AddressTest, EveryMistakeIsNamed) {
  struct Case {
    const char* text;
    const char* why;
  };
  for (const Case& c : {Case{"", "port is missing"}, Case{"localhost", "port is missing"},
                        Case{":8080", "host is missing"}, Case{"[]:1", "host is missing"},
                        Case{"::1:8080", "needs brackets"}, Case{"a:", "not a number"},
                        Case{"a:65536", "not a number"}, Case{"a:-1", "not a number"},
                        Case{"a:+1", "not a number"}, Case{"a:99999999999", "not a number"},
                        Case{"http://a:80", "needs brackets"}, Case{"a/b:80", "no host has"}}) {
    SCOPED_TRACE(c.text);
    const absl::Status status = ParseHostPort(c.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.why));
  }
}

}  // namespace
}  // namespace skein
