#include "common/config/ip_range.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

TEST(IpAddressTest, BothWaysToWriteAnIpv4AddressAreTheSame) {
  EXPECT_EQ(ParseIpAddress("10.1.2.3"), ParseIpAddress("::ffff:10.1.2.3"));
  EXPECT_EQ(ParseIpAddress("[2001:db8::1]"), ParseIpAddress("2001:db8:0::1"));
  EXPECT_EQ(FormatIpAddress(*ParseIpAddress("[::ffff:10.1.2.3]")), "10.1.2.3");
  EXPECT_EQ(FormatIpAddress(*ParseIpAddress("2001:DB8:0::1")), "2001:db8::1");
}

TEST(IpAddressTest, NothingElseIsOne) {
  for (const absl::string_view text :
       {"", "unknown", "10.1.2", "10.1.2.3.4", "10.1.2.256", "010.1.2.3", " 10.1.2.3",
        "10.1.2.3:80", "[10.1.2.3]", "[::1]:80", "::g", "_hidden", "localhost"}) {
    EXPECT_FALSE(ParseIpAddress(text).has_value()) << text;
  }
  EXPECT_FALSE(ParseIpAddress(absl::string_view("10.1.2.3\0x", 10)).has_value());
}

TEST(IpRangeTest, HoldsWhatSharesItsBits) {
  struct Case {
    const char* range;
    const char* address;
    bool inside;
  };
  for (const Case& c : {Case{"10.0.0.0/8", "10.255.0.1", true},
                        {"10.0.0.0/8", "11.0.0.1", false},
                        {"10.0.0.0/8", "::ffff:10.0.0.1", true},
                        {"172.16.0.0/12", "172.31.255.255", true},
                        {"172.16.0.0/12", "172.32.0.0", false},
                        {"192.168.1.1", "192.168.1.1", true},
                        {"192.168.1.1", "192.168.1.2", false},
                        {"192.168.1.7/30", "192.168.1.4", true},
                        {"fd00::/8", "fdff::1", true},
                        {"fd00::/8", "fe00::1", false},
                        {"2001:db8::/33", "2001:db8:8000::", false},
                        {"::1", "::1", true},
                        {"::/1", "10.0.0.1", true},
                        {"10.0.0.0/8", "::a00:1", false}}) {
    const absl::StatusOr<IpRange> range = IpRange::Parse(c.range);
    ASSERT_TRUE(range.ok()) << range.status();
    EXPECT_EQ(range->Contains(*ParseIpAddress(c.address)), c.inside) << c.range << " " << c.address;
  }
}

TEST(IpRangeTest, WhatIsNoneIsRefusedAndSoIsEverybody) {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8",
                           "fd00::/129", "10.0.0/8", "10.0.0.0/8/8", "ingress", "10.0.0.0/8 "}) {
    EXPECT_THAT(std::string(IpRange::Parse(text).status().message()),
                HasSubstr("expected ADDRESS or ADDRESS/BITS"))
        << text;
  }
  for (const char* text : {"0.0.0.0/0", "::/0"}) {
    EXPECT_THAT(std::string(IpRange::Parse(text).status().message()), HasSubstr("every address"));
  }
}

}  // namespace
}  // namespace skein
