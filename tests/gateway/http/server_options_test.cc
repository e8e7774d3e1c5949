#include "gateway/http/server_options.h"

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(ServerOptionsTest, TakesOverTheConfiguration) {
  config::v1::GatewayConfig config;
  config.set_listen("h:1");
  config.set_threads(3);
  config.mutable_limits()->set_max_body_bytes(10);
  config.mutable_limits()->set_max_header_bytes(11);
  config.mutable_limits()->set_max_connections(12);
  config.mutable_limits()->set_idle_timeout_s(13);
  config.mutable_limits()->set_read_timeout_s(14);
  config.mutable_limits()->set_write_timeout_s(15);
  config.mutable_limits()->set_keep_alive_ms(16);
  config.add_trusted_proxy("10.0.0.0/8");
  const HttpServerOptions options = ToServerOptions(config);
  EXPECT_EQ(options.trusted_proxies.ClientOf("10.0.0.1:5", {"192.0.2.1"}).client, "192.0.2.1");
  EXPECT_EQ(options.listen, "h:1");
  EXPECT_EQ(options.threads, 3);
  EXPECT_EQ(options.max_body_bytes, 10u);
  EXPECT_EQ(options.max_header_bytes, 11u);
  EXPECT_EQ(options.max_connections, 12);
  EXPECT_EQ(options.idle_timeout, absl::Seconds(13));
  EXPECT_EQ(options.read_timeout, absl::Seconds(14));
  EXPECT_EQ(options.write_timeout, absl::Seconds(15));
  EXPECT_EQ(options.keep_alive, absl::Milliseconds(16));
}

TEST(ServerOptionsTest, TheListenerOfRwkvInferIsPlainOnALoopbackAddress) {
  config::v1::GatewayConfig config;
  config.set_listen("h:1");
  config.mutable_tls()->set_certificate("c.pem");
  config.mutable_limits()->set_max_body_bytes(10);
  config.set_rwkv_infer_listen("127.0.0.1:9000");
  EXPECT_EQ(ToRwkvInferOptions(config).listen, "127.0.0.1:9000");
  EXPECT_EQ(ToRwkvInferOptions(config).max_body_bytes, 10u);
  EXPECT_EQ(ToRwkvInferOptions(config).tls.certificate(), "");
  config.set_rwkv_infer_listen("0.0.0.0:9000");
  EXPECT_EQ(ToRwkvInferOptions(config).tls.certificate(), "c.pem");
}

TEST(ServerOptionsTest, TheProbeListenerHasLimitsOfItsOwn) {
  config::v1::GatewayConfig config;
  config.set_listen("h:1");
  config.set_metrics_listen("h:2");
  config.set_threads(3);
  config.mutable_limits()->set_max_connections(100'000);
  const HttpServerOptions options = ToProbeServerOptions(config);
  EXPECT_EQ(options.listen, "h:2");
  EXPECT_EQ(options.threads, 1);
  EXPECT_EQ(options.max_connections, 256);
  EXPECT_EQ(options.max_body_bytes, 1024u);
}

}  // namespace
}  // namespace skein
