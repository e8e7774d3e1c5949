#include "common/config/gateway_flags.h"

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(GatewayFlagsTest, TakesWorkersFromSeveralFlagsAndLists) {
  const auto line = ParseGatewayCommandLine({"--worker", "a:1", "--worker=b:2,c:3"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_THAT(line->config.worker(), ElementsAre("a:1", "b:2", "c:3"));
}

TEST(GatewayFlagsTest, SetsWhatFlagsAreFor) {
  const auto line = ParseGatewayCommandLine(
      {"--listen", "h:1", "--metrics-listen", "h:2", "--grpc-listen", "g:2", "--rwkv-infer-listen",
       "r:3", "--threads", "3", "--log-level", "debug", "--drain-timeout", "5", "--log-format",
       "json", "--access-log=off"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->config.listen(), "h:1");
  EXPECT_EQ(line->config.metrics_listen(), "h:2");
  EXPECT_EQ(line->config.grpc_listen(), "g:2");
  EXPECT_EQ(line->config.rwkv_infer_listen(), "r:3");
  EXPECT_EQ(line->config.threads(), 3u);
  EXPECT_EQ(line->config.log_level(), "debug");
  EXPECT_EQ(line->config.drain_timeout_s(), 5u);
  EXPECT_EQ(line->config.log_format(), "json");
  EXPECT_TRUE(line->config.has_access_log());
  EXPECT_FALSE(line->config.access_log());
}

TEST(GatewayFlagsTest, SetsWhoMayCallAndHow) {
  const auto line = ParseGatewayCommandLine({"--keys",
                                             "k",
                                             "--allow-no-keys",
                                             "--cors-origin",
                                             "https://a,https://b",
                                             "--trusted-proxy",
                                             "10.0.0.0/8,::1",
                                             "--tls-certificate",
                                             "c",
                                             "--tls-key",
                                             "d",
                                             "--tls-client-ca",
                                             "e",
                                             "--worker-ca",
                                             "f",
                                             "--worker-certificate",
                                             "g",
                                             "--worker-key",
                                             "h",
                                             "--worker-server-name",
                                             "i"});
  ASSERT_TRUE(line.ok()) << line.status();
  const auto& config = line->config;
  EXPECT_EQ(config.keys_file(), "k");
  EXPECT_TRUE(config.allow_no_keys());
  EXPECT_THAT(config.cors_origin(), ElementsAre("https://a", "https://b"));
  EXPECT_THAT(config.trusted_proxy(), ElementsAre("10.0.0.0/8", "::1"));
  EXPECT_EQ(config.tls().certificate() + config.tls().key() + config.tls().client_ca(), "cde");
  EXPECT_EQ(config.worker_tls().ca() + config.worker_tls().certificate(), "fg");
  EXPECT_EQ(config.worker_tls().key() + config.worker_tls().server_name(), "hi");
  EXPECT_FALSE(ParseGatewayCommandLine({"--keys="}).ok());
}

TEST(GatewayFlagsTest, TakesWhatToDoInsteadOfServing) {
  EXPECT_TRUE(ParseGatewayCommandLine({"--check-config"})->check_config);
  EXPECT_EQ(ParseGatewayCommandLine({"--health-check", "h:1/healthz"})->health_check,
            "h:1/healthz");
}

TEST(GatewayFlagsTest, FlagsReplaceWhatTheFileSays) {
  const std::string path = ::testing::TempDir() + "/gateway_flags_test.conf";
  std::ofstream(path) << "listen: 'file:1' worker: 'file:2' worker: 'file:3' threads: 7";
  const auto from_file = ParseGatewayCommandLine({"--config", path});
  ASSERT_TRUE(from_file.ok()) << from_file.status();
  EXPECT_THAT(from_file->config.worker(), ElementsAre("file:2", "file:3"));
  const auto mixed = ParseGatewayCommandLine({"--worker", "flag:1", "--config", path});
  ASSERT_TRUE(mixed.ok()) << mixed.status();
  EXPECT_THAT(mixed->config.worker(), ElementsAre("flag:1"));
  EXPECT_EQ(mixed->config.listen(), "file:1");
  EXPECT_EQ(mixed->config.threads(), 7u);
  std::filesystem::remove(path);
}

TEST(GatewayFlagsTest, ErrorsNameTheFlag) {
  for (const char* flag : {"--nonsense", "--threads=many", "--access-log=perhaps", "--worker=,",
                           "--config=/no/such/file"}) {
    SCOPED_TRACE(flag);
    const auto line = ParseGatewayCommandLine({flag});
    ASSERT_FALSE(line.ok());
    EXPECT_FALSE(line.status().message().empty());
  }
  EXPECT_THAT(std::string(ParseGatewayCommandLine({"--nonsense"}).status().message()),
              HasSubstr("--nonsense"));
}

TEST(GatewayFlagsTest, HelpShowsEveryFlag) {
  EXPECT_TRUE(ParseGatewayCommandLine({"--help"})->help);
  const std::string usage = GatewayUsage();
  for (const char* flag : {"--worker SOURCE",
                           "--listen ADDR",
                           "--grpc-listen ADDR",
                           "--rwkv-infer-listen ADDR",
                           "--threads N",
                           "--drain-timeout",
                           "--metrics-listen ADDR",
                           "--config FILE",
                           "--log-level",
                           "--log-format",
                           "--access-log",
                           "--keys FILE",
                           "--allow-no-keys",
                           "--cors-origin ORIGIN",
                           "--trusted-proxy RANGE",
                           "--tls-certificate FILE",
                           "--tls-key FILE",
                           "--tls-client-ca FILE",
                           "--worker-ca FILE",
                           "--worker-certificate FILE",
                           "--worker-key FILE",
                           "--worker-server-name",
                           "--check-config",
                           "--health-check ADDR[/PATH]",
                           "--help"}) {
    EXPECT_THAT(usage, HasSubstr(flag));
  }
}

}  // namespace
}  // namespace skein
