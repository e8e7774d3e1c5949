#include "common/config/gateway_config.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/text_proto.h"
#include "common/config/worker_source.h"

namespace skein {
namespace {

using config::v1::GatewayConfig;
using ::testing::HasSubstr;
using ::testing::StartsWith;

GatewayConfig Config(const std::string& text, uint32_t num_cores = 4) {
  GatewayConfig config;
  EXPECT_TRUE(ParseTextProto(text, "test", config).ok()) << text;
  FillDefaults(config, num_cores);
  return config;
}

TEST(GatewayConfigTest, DefaultsAreThoseOfTheProto) {
  const GatewayConfig config = Config("");
  EXPECT_TRUE(Validate(config).ok()) << Validate(config);
  EXPECT_EQ(config.listen(), "127.0.0.1:8080");
  ASSERT_EQ(config.worker_size(), 1);
  EXPECT_EQ(config.worker(0), "127.0.0.1:50051");
  EXPECT_EQ(config.log_level(), "info");
  EXPECT_EQ(config.log_format(), "text");
  EXPECT_TRUE(config.access_log());
  EXPECT_EQ(config.threads(), 4u);
  EXPECT_EQ(config.drain_timeout_s(), 30u);
  EXPECT_EQ(config.limits().max_body_bytes(), 16u << 20);
  EXPECT_EQ(config.limits().max_header_bytes(), 16u << 10);
  EXPECT_EQ(config.limits().max_connections(), 10000u);
  EXPECT_EQ(config.limits().max_upload_bytes(), 512u << 20);
  EXPECT_EQ(config.limits().idle_timeout_s(), 75u);
  EXPECT_EQ(config.limits().read_timeout_s(), 30u);
  EXPECT_EQ(config.limits().write_timeout_s(), 30u);
  EXPECT_EQ(config.limits().request_timeout_s(), 600u);
  EXPECT_EQ(config.limits().keep_alive_ms(), 15000u);
  EXPECT_EQ(config.limits().max_choices(), 16u);
  EXPECT_EQ(config.limits().max_json_depth(), 32u);
  EXPECT_EQ(config.routing().load_bound(), 1.25f);
  EXPECT_EQ(config.routing().eject_after_failures(), 5u);
  EXPECT_EQ(config.routing().eject_ms(), 5000u);
  EXPECT_EQ(config.routing().max_eject_ms(), 60000u);
  EXPECT_EQ(config.routing().retry_budget_percent(), 20u);
  EXPECT_EQ(config.routing().silence_ms(), 5000u);
  EXPECT_EQ(config.routing().resolve_ms(), 5000u);
}

TEST(GatewayConfigTest, ThreadsFollowTheCoresUpToEight) {
  EXPECT_EQ(Config("", 0).threads(), 1u);
  EXPECT_EQ(Config("", 2).threads(), 2u);
  EXPECT_EQ(Config("", 64).threads(), 8u);
  EXPECT_EQ(Config("threads: 32", 2).threads(), 32u);
}

TEST(GatewayConfigTest, WhatIsGivenStays) {
  const GatewayConfig config =
      Config("listen: '[::1]:0' worker: 'a:1' worker: 'b:2' limits { keep_alive_ms: 50 }");
  EXPECT_TRUE(Validate(config).ok()) << Validate(config);
  EXPECT_EQ(config.listen(), "[::1]:0");
  EXPECT_EQ(config.worker_size(), 2);
  EXPECT_EQ(config.limits().keep_alive_ms(), 50u);
}

TEST(GatewayConfigTest, RetriesCanBeSwitchedOff) {
  EXPECT_EQ(Config("routing { retry_budget_percent: 0 }").routing().retry_budget_percent(), 0u);
}

TEST(GatewayConfigTest, ReadsWorkerSources) {
  struct Case {
    const char* text;
    WorkerSource::Kind kind;
    const char* host;
    uint16_t port;
    const char* path;
  };
  using Kind = WorkerSource::Kind;
  for (const Case& c :
       {Case{"a:1", Kind::kAddress, "a", 1, ""}, Case{"[::1]:5", Kind::kAddress, "::1", 5, ""},
        Case{"dns:50051", Kind::kAddress, "dns", 50051, ""},
        Case{"dns:workers.skein.svc:50051", Kind::kDns, "workers.skein.svc", 50051, ""},
        Case{"file:/etc/skein/workers", Kind::kFile, "", 0, "/etc/skein/workers"},
        Case{"file:a:b", Kind::kFile, "", 0, "a:b"}}) {
    const absl::StatusOr<WorkerSource> source = ParseWorkerSource(c.text);
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ(source->kind, c.kind) << c.text;
    EXPECT_EQ(source->text, c.text);
    EXPECT_EQ(source->host, c.host);
    EXPECT_EQ(source->port, c.port);
    EXPECT_EQ(source->path, c.path);
  }
}

TEST(GatewayConfigTest, ErrorsNameTheField) {
  struct Case {
    const char* text;
    const char* error;
  };
  for (const Case& c : {
           Case{"listen: '8080'", "listen: \"8080\" is not an address"},
           Case{"grpc_listen: '8090'", "grpc_listen: \"8090\" is not an address"},
           Case{"rwkv_infer_listen: '9000'", "rwkv_infer_listen: \"9000\" is not an address"},
           Case{"rwkv_infer_listen: '0.0.0.0:9000' allow_no_keys: true",
                "rwkv_infer_listen: \"0.0.0.0:9000\" can be reached from other machines"},
           Case{"worker: 'a'", "worker: \"a\" is not an address"},
           Case{"worker: 'a:0'", "worker: \"a:0\" has port 0"},
           Case{"worker: 'a:1' worker: 'a:1'", "worker: \"a:1\" is given twice"},
           Case{"metrics_listen: '9'", "metrics_listen: \"9\" is not an address"},
           Case{"worker: 'dns:a:0'", "worker: \"dns:a:0\" has port 0"},
           Case{"worker: 'dns::1'", "worker: \":1\" is not an address"},
           Case{"worker: 'file:'", "worker: \"file:\" names no file"},
           Case{"routing { load_bound: 0.5 }", "routing.load_bound: 0.5, expected 1 to 100"},
           Case{"routing { load_bound: nan }", "routing.load_bound: nan"},
           Case{"routing { eject_after_failures: 2000 }", "routing.eject_after_failures: 2000"},
           Case{"routing { eject_ms: 5 }", "routing.eject_ms: 5"},
           Case{"routing { eject_ms: 500 max_eject_ms: 400 }", "routing.max_eject_ms: 400"},
           Case{"routing { retry_budget_percent: 101 }", "routing.retry_budget_percent: 101"},
           Case{"routing { silence_ms: 100 }", "routing.silence_ms: 100"},
           Case{"routing { resolve_ms: 10 }", "routing.resolve_ms: 10"},
           Case{"log_level: 'loud'", "log_level: \"loud\""},
           Case{"log_format: 'xml'", "log_format: \"xml\", expected text or json"},
           Case{"threads: 1000", "threads: 1000, expected 1 to 256"},
           Case{"drain_timeout_s: 100000", "drain_timeout_s: 100000"},
           Case{"listen: '0.0.0.0:8080'", "listen: \"0.0.0.0:8080\" can be reached from other"},
           Case{"listen: '[::]:80'", "listen: \"[::]:80\" can be reached"},
           Case{"listen: 'gateway:80'", "listen: \"gateway:80\" can be reached"},
           Case{"tls { certificate: 'a' }", "tls.key: missing"},
           Case{"tls { key: 'a' }", "tls.certificate: missing"},
           Case{"tls { client_ca: 'a' }", "tls.client_ca: has no use"},
           Case{"worker_tls { certificate: 'a' key: 'b' }", "worker_tls.ca: missing"},
           Case{"worker_tls { ca: 'a' key: 'b' }", "worker_tls.certificate: missing"},
           Case{"worker_tls { server_name: 'a' }", "worker_tls.ca: missing"},
           Case{"cors_origin: 'example.org'", "cors_origin: \"example.org\", expected"},
           Case{"cors_origin: 'https://example.org/'", "cors_origin: "},
           Case{"cors_origin: 'https://*.example.org'", "cors_origin: "},
           Case{"trusted_proxy: '10.0.0/8'", "trusted_proxy: \"10.0.0/8\" is no range"},
           Case{"trusted_proxy: '10.0.0.0/8' trusted_proxy: '::/0'",
                "trusted_proxy: \"::/0\" holds every address"},
           Case{"cors_origin: ''", "cors_origin: \"\""},
           Case{"limits { max_body_bytes: 10 }", "limits.max_body_bytes: 10"},
           Case{"limits { max_header_bytes: 10 }", "limits.max_header_bytes: 10"},
           Case{"limits { max_upload_bytes: 1000000 }", "limits.max_upload_bytes: 1000000"},
           Case{"limits { max_connections: 2000000 }", "limits.max_connections: 2000000"},
           Case{"limits { idle_timeout_s: 100000 }", "limits.idle_timeout_s: 100000"},
           Case{"limits { read_timeout_s: 100000 }", "limits.read_timeout_s: 100000"},
           Case{"limits { write_timeout_s: 100000 }", "limits.write_timeout_s: 100000"},
           Case{"limits { request_timeout_s: 100000 }", "limits.request_timeout_s: 100000"},
           Case{"limits { keep_alive_ms: 1 }", "limits.keep_alive_ms: 1, expected 10"},
           Case{"limits { max_choices: 1000 }", "limits.max_choices: 1000, expected 1 to 128"},
           Case{"limits { max_json_depth: 2 }", "limits.max_json_depth: 2"},
       }) {
    SCOPED_TRACE(c.text);
    const absl::Status status = Validate(Config(c.text));
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()), StartsWith(c.error));
  }
}

TEST(GatewayConfigTest, OtherMachinesAreLetInWithKeysOrOnPurpose) {
  for (const char* text :
       {"listen: '127.3.2.1:80'", "listen: 'localhost:80'", "listen: '[::1]:80'",
        "listen: '0.0.0.0:80' keys_file: 'keys'", "listen: '0.0.0.0:80' allow_no_keys: true"}) {
    EXPECT_TRUE(Validate(Config(text)).ok()) << Validate(Config(text));
  }
  const std::string error(Validate(Config("listen: '0.0.0.0:80'")).message());
  for (const char* way_out : {"skeinctl keys new", "--keys", "127.0.0.1", "--allow-no-keys"}) {
    EXPECT_THAT(error, HasSubstr(way_out));
  }
}

TEST(GatewayConfigTest, TlsAndOriginsThatMakeSensePass) {
  for (const char* text :
       {"tls { certificate: 'a' key: 'b' }", "tls { certificate: 'a' key: 'b' client_ca: 'c' }",
        "worker_tls { ca: 'a' }", "worker_tls { ca: 'a' certificate: 'b' key: 'c' }",
        "cors_origin: '*'", "cors_origin: 'https://a.b' cors_origin: 'http://localhost:3000'",
        "cors_origin: 'tauri://localhost'", "trusted_proxy: '10.0.0.0/8' trusted_proxy: '::1'"}) {
    EXPECT_TRUE(Validate(Config(text)).ok()) << Validate(Config(text));
  }
}

}  // namespace
}  // namespace skein
