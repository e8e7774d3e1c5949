#include "common/config/worker_config.h"

#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/text_proto.h"

namespace skein {
namespace {

using config::v1::WorkerConfig;
using ::testing::StartsWith;

WorkerConfig Config(const std::string& text, bool has_cuda = false) {
  WorkerConfig config;
  EXPECT_TRUE(ParseTextProto(text, "test", config).ok()) << text;
  FillDefaults(config, has_cuda);
  return config;
}

TEST(WorkerConfigTest, DefaultsAreThoseOfTheProto) {
  const WorkerConfig config = Config("model { path: 'm' }");
  EXPECT_TRUE(Validate(config, false).ok()) << Validate(config, false);
  EXPECT_EQ(config.listen(), "127.0.0.1:50051");
  EXPECT_EQ(config.metrics_listen(), "");
  EXPECT_EQ(config.log_level(), "info");
  EXPECT_EQ(config.log_format(), "text");
  EXPECT_TRUE(config.access_log());
  EXPECT_EQ(config.drain_timeout_s(), 30u);
  EXPECT_EQ(config.engine().device(), "cpu");
  EXPECT_EQ(config.engine().max_sequences(), 64u);
  EXPECT_EQ(config.engine().max_queue(), 512u);
  EXPECT_EQ(config.engine().max_queue_tokens(), 1u << 20);
  EXPECT_EQ(config.engine().stall_s(), 60u);
  EXPECT_EQ(config.engine().state_dtype(), "fp32");
  EXPECT_EQ(config.engine().max_rows_per_step(), 512u);
  EXPECT_EQ(config.engine().prefill_chunk(), 256u);
  EXPECT_EQ(config.engine().prefill_target_ms(), 500u);
  EXPECT_EQ(config.engine().page_tokens(), 16u);
  EXPECT_EQ(config.engine().kv_bytes(), uint64_t{1} << 30);
  EXPECT_EQ(config.engine().max_prompt_tokens(), 32768u);
  EXPECT_EQ(config.engine().max_tokens(), 4096u);
  EXPECT_EQ(config.registry().max_mixture_states(), 8u);
  EXPECT_EQ(config.registry().max_adapter_bytes(), uint64_t{4} << 30);
}

TEST(WorkerConfigTest, WhatIsGivenStays) {
  const WorkerConfig config =
      Config("listen: 'h:1' model { path: 'm' name: 'n' } engine { max_sequences: 3 kv_bytes: 9 }");
  EXPECT_EQ(config.listen(), "h:1");
  EXPECT_EQ(config.model().name(), "n");
  EXPECT_EQ(config.engine().max_sequences(), 3u);
  EXPECT_EQ(config.engine().kv_bytes(), 9u);
}

TEST(WorkerConfigTest, TheDeviceDecidesHowLargeStepsAre) {
  EXPECT_EQ(Config("", true).engine().device(), "cuda");
  EXPECT_EQ(Config("", true).engine().max_sequences(), 256u);
  EXPECT_EQ(Config("", true).engine().max_rows_per_step(), 2048u);
  EXPECT_EQ(Config("", true).engine().prefill_chunk(), 2048u);
  EXPECT_EQ(Config("", true).engine().prefill_target_ms(), 50u);
  EXPECT_EQ(Config("engine { device: 'cpu' }", true).engine().max_sequences(), 64u);
  EXPECT_EQ(Config("engine { device: 'cpu' }", true).engine().max_rows_per_step(), 512u);
  EXPECT_TRUE(Validate(Config("model { path: 'm' }", true), true).ok());
}

TEST(WorkerConfigTest, TheCacheIsWhereTheEnvironmentKeepsCaches) {
  ::setenv("XDG_CACHE_HOME", "/caches", 1);
  EXPECT_EQ(Config("", true).engine().cache_dir(), "/caches/skein");
  EXPECT_EQ(Config("engine { cache_dir: '/mine' }", true).engine().cache_dir(), "/mine");
  EXPECT_EQ(Config("", false).engine().cache_dir(), "");
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  ::setenv("HOME", "/home/goose", 1);
  EXPECT_EQ(Config("", true).engine().cache_dir(), "/home/goose/.cache/skein");
  ::unsetenv("HOME");
  EXPECT_EQ(Config("", true).engine().cache_dir(), "");
  ::unsetenv("XDG_CACHE_HOME");
}

TEST(WorkerConfigTest, ASmallStepMakesASmallChunk) {
  EXPECT_EQ(Config("engine { max_rows_per_step: 8 }").engine().prefill_chunk(), 8u);
}

TEST(WorkerConfigTest, TheNameIsThatOfTheFolderOrFile) {
  struct Case {
    const char* path;
    const char* name;
  };
  for (const Case& c : {Case{"/models/demo", "demo"}, Case{"/models/demo/", "demo"},
                        Case{"models/demo/.", "demo"}, Case{"/m/x/../demo-1.5b", "demo-1.5b"},
                        Case{"/m/rwkv.7.pth", "rwkv.7"}, Case{"a/b.safetensors", "b"}}) {
    SCOPED_TRACE(c.path);
    EXPECT_EQ(Config(std::string("model { path: '") + c.path + "' }").model().name(), c.name);
  }
}

TEST(WorkerConfigTest, AWorkerThatMayLoadModelsNeedsNoneAtFirst) {
  EXPECT_TRUE(Validate(Config("model_root: '/models'"), false).ok());
  EXPECT_TRUE(Validate(Config("model_root: '/models' model { path: 'm' }"), false).ok());
  EXPECT_THAT(
      std::string(Validate(Config("model_root: '/models' model { name: 'm' }"), false).message()),
      StartsWith("model.path: missing"));
}

TEST(WorkerConfigTest, ErrorsStartWithTheField) {
  struct Case {
    const char* text;
    const char* error;
  };
  for (const Case& c : {
           Case{"", "model.path: missing"},
           Case{"model { path: 'm' } listen: 'x'", "listen: \"x\" is not an address"},
           Case{"model { path: 'm' } metrics_listen: ':1'", "metrics_listen: "},
           Case{"model { path: 'm' } health_listen: ':1'", "health_listen: "},
           Case{"model { path: 'm' } log_format: 'xml'", "log_format: \"xml\", expected text"},
           Case{"model { path: 'm' } log_level: 'loud'", "log_level: \"loud\", expected debug"},
           Case{"model { path: 'm' } drain_timeout_s: 90000", "drain_timeout_s: 90000"},
           Case{"model { path: 'm' } registry { max_mixture_states: 2000 }",
                "registry.max_mixture_states: 2000"},
           Case{"model { path: 'm' rope_theta: 0 }", "model.rope_theta: 0"},
           Case{"model { path: 'm' rms_norm_eps: nan }", "model.rms_norm_eps: nan"},
           Case{"model { path: 'm' } engine { device: 'tpu' }", "engine.device: \"tpu\""},
           Case{"model { path: 'm' } engine { device: 'cuda' }", "engine.device: \"cuda\""},
           Case{"model { path: 'm' } engine { state_dtype: 'bf16' }",
                "engine.state_dtype: \"bf16\", expected fp32 or fp16"},
           Case{"model { path: 'm' } engine { state_dtype: 'fp16' }",
                "engine.state_dtype: \"fp16\", expected fp32: the CPU"},
           Case{"model { path: 'm' } engine { max_sequences: 70000 }",
                "engine.max_sequences: 70000"},
           Case{"model { path: 'm' } engine { max_queue: 2000000 }", "engine.max_queue: 2000000"},
           Case{"model { path: 'm' } engine { max_queue_tokens: 4000000000 }",
                "engine.max_queue_tokens: 4000000000"},
           Case{"model { path: 'm' } engine { stall_s: 100000 }", "engine.stall_s: 100000"},
           Case{"model { path: 'm' name: 'liveness' }", "model.name: \"liveness\""},
           Case{"model { path: 'm' merged_adapter {} }", "model.merged_adapter.path: missing"},
           Case{"model { path: 'm' merged_adapter { path: 'a' scaling: 1 alpha: 1 } }",
                "model.merged_adapter: scaling and alpha"},
           Case{"model { path: 'm' merged_adapter { path: 'a' scaling: nan } }",
                "model.merged_adapter: scaling or alpha nan"},
           Case{"model { path: 'm' } engine { max_rows_per_step: 70000 }",
                "engine.max_rows_per_step"},
           Case{"model { path: 'm' } engine { max_rows_per_step: 1 }",
                "engine.max_rows_per_step: 1, expected 2"},
           Case{"model { path: 'm' } engine { prefill_chunk: 513 }", "engine.prefill_chunk: 513"},
           Case{"model { path: 'm' } engine { prefill_target_ms: 700000 }",
                "engine.prefill_target_ms: 700000"},
           Case{"model { path: 'm' } engine { page_tokens: 3 }",
                "engine.page_tokens: 3, expected a"},
           Case{"model { path: 'm' } engine { kv_bytes: 99999999999999999 }", "engine.kv_bytes"},
           Case{"model { path: 'm' } engine { max_prompt_tokens: 99999999 }",
                "engine.max_prompt_tokens"},
           Case{"model { path: 'm' } engine { max_tokens: 99999999 }", "engine.max_tokens"},
           Case{"model { path: 'm' } engine { threads: 2000 }", "engine.threads: 2000"},
       }) {
    SCOPED_TRACE(c.text);
    const absl::Status status = Validate(Config(c.text), false);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), StartsWith(c.error));
  }
}

}  // namespace
}  // namespace skein
