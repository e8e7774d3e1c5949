#include "gateway/http/trusted_proxies.h"

#include "gtest/gtest.h"

#include "gateway/http/server_options.h"

namespace skein {
namespace {

TrustedProxies Trust(const std::vector<std::string>& ranges) {
  config::v1::GatewayConfig config;
  for (const std::string& range : ranges) config.add_trusted_proxy(range);
  return ToTrustedProxies(config);
}

struct Case {
  const char* name;
  const char* peer;
  std::vector<absl::string_view> forwarded_for;
  const char* client;
  bool by_proxy;
};

void Check(const TrustedProxies& trusted, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const ClientAddress from = trusted.ClientOf(c.peer, c.forwarded_for);
    EXPECT_EQ(from.client, c.client);
    EXPECT_EQ(from.proxy, c.by_proxy ? c.peer : "");
  }
}

TEST(TrustedProxiesTest, AProxyTellsWhoTheClientIs) {
  Check(Trust({"10.0.0.0/8", "fd00::/8"}),
        {{"one proxy", "10.0.0.1:99", {"203.0.113.7"}, "203.0.113.7", true},
         {"two proxies", "10.0.0.1:99", {"203.0.113.7, 10.0.0.2"}, "203.0.113.7", true},
         {"two headers", "10.0.0.1:99", {"203.0.113.7", "10.0.0.2"}, "203.0.113.7", true},
         {"with ports", "10.0.0.1:99", {"203.0.113.7:1234,10.0.0.2:5"}, "203.0.113.7", true},
         {"IPv6", "[fd00::1]:99", {"[2001:db8::7]:80"}, "2001:db8::7", true},
         {"IPv6 without a port", "[fd00::1]:99", {"2001:db8::7"}, "2001:db8::7", true},
         {"an IPv4 proxy seen over IPv6",
          "[::ffff:10.0.0.1]:99",
          {"203.0.113.7"},
          "203.0.113.7",
          true},
         {"blanks", "10.0.0.1:99", {" ", ",203.0.113.7 ,, "}, "203.0.113.7", true},
         {"the proxies' own", "10.0.0.1:99", {"10.0.0.3, 10.0.0.2"}, "10.0.0.3", true},
         {"no header", "10.0.0.1:99", {}, "10.0.0.1:99", false}});
}

TEST(TrustedProxiesTest, WhatAClientClaimsCountsForNothing) {
  Check(
      Trust({"10.0.0.0/8"}),
      {{"a client that is no proxy", "203.0.113.7:99", {"198.51.100.1"}, "203.0.113.7:99", false},
       {"one that claims to be one", "203.0.113.7:99", {"10.0.0.2"}, "203.0.113.7:99", false},
       {"a claim before the proxy's word",
        "10.0.0.1:99",
        {"198.51.100.1, 203.0.113.7"},
        "203.0.113.7",
        true},
       {"a claim to be a proxy",
        "10.0.0.1:99",
        {"198.51.100.1, 10.9.9.9, 203.0.113.7"},
        "203.0.113.7",
        true},
       {"a header of its own", "10.0.0.1:99", {"198.51.100.1", "203.0.113.7"}, "203.0.113.7", true},
       {"words", "10.0.0.1:99", {"203.0.113.7, unknown"}, "10.0.0.1:99", false},
       {"words further away", "10.0.0.1:99", {"203.0.113.7, <script>, 10.0.0.2"}, "10.0.0.2", true},
       {"no address of the peer", "", {"203.0.113.7"}, "", false}});
}

TEST(TrustedProxiesTest, WithoutRangesNobodyIsTrusted) {
  Check(Trust({}), {{"loopback", "127.0.0.1:99", {"203.0.113.7"}, "127.0.0.1:99", false},
                    {"private", "10.0.0.1:99", {"203.0.113.7"}, "10.0.0.1:99", false}});
}

}  // namespace
}  // namespace skein
