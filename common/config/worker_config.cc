#include "common/config/worker_config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/config/access_config.h"
#include "common/config/checks.h"

namespace skein {
namespace {

using config::v1::EngineConfig;
using config::v1::ModelConfig;
using config::v1::WorkerConfig;

// "models/demo/" -> "demo", "a/b.safetensors" -> "b", "." -> the current folder's name.
std::string NameOfPath(const std::string& path) {
  std::error_code ignored;
  std::filesystem::path full = std::filesystem::absolute(path, ignored).lexically_normal();
  if (!full.has_filename()) full = full.parent_path();
  const bool is_file = full.extension() == ".safetensors" || full.extension() == ".pth";
  const std::string name = is_file ? full.stem().string() : full.filename().string();
  return name.empty() ? "model" : name;
}

void FillModelDefaults(ModelConfig& model) {
  if (model.name().empty() && !model.path().empty()) model.set_name(NameOfPath(model.path()));
}

// Empty if the environment names no such place.
std::string DefaultCacheDir() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return absl::StrCat(cache, "/skein");
  const char* const home = std::getenv("HOME");
  if (home != nullptr && *home == '/') return absl::StrCat(home, "/.cache/skein");
  return "";
}

void FillEngineDefaults(EngineConfig& engine, bool has_cuda) {
  if (engine.device().empty() || engine.device() == "auto") {
    engine.set_device(has_cuda ? "cuda" : "cpu");
  }
  if (engine.state_dtype().empty()) engine.set_state_dtype("fp32");
  const bool cuda = engine.device() == "cuda";
  if (cuda && engine.cache_dir().empty()) engine.set_cache_dir(DefaultCacheDir());
  engine.set_max_sequences(OrDefault(engine.max_sequences(), cuda ? 256u : 64u));
  engine.set_max_queue(OrDefault(engine.max_queue(), 512u));
  engine.set_max_queue_tokens(OrDefault(engine.max_queue_tokens(), 1u << 20));
  engine.set_stall_s(OrDefault(engine.stall_s(), 60u));
  engine.set_max_rows_per_step(OrDefault(engine.max_rows_per_step(), cuda ? 2048u : 512u));
  // A small max_rows_per_step alone asks for small steps: it is no contradiction.
  engine.set_prefill_chunk(
      OrDefault(engine.prefill_chunk(), std::min(cuda ? 2048u : 256u, engine.max_rows_per_step())));
  engine.set_prefill_target_ms(OrDefault(engine.prefill_target_ms(), cuda ? 50u : 500u));
  engine.set_page_tokens(OrDefault(engine.page_tokens(), 16u));
  engine.set_kv_bytes(OrDefault(engine.kv_bytes(), uint64_t{1} << 30));
  engine.set_max_prompt_tokens(OrDefault(engine.max_prompt_tokens(), 32768u));
  engine.set_max_tokens(OrDefault(engine.max_tokens(), 4096u));
}

absl::Status CheckPositive(absl::string_view field, bool present, float value) {
  if (!present || (std::isfinite(value) && value > 0)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", value, ", expected more than 0"));
}

absl::Status ValidateMerged(const config::v1::MergedAdapter& adapter) {
  if (adapter.path().empty()) {
    return absl::InvalidArgumentError("model.merged_adapter.path: missing, expected an adapter");
  }
  if (adapter.has_scaling() && adapter.has_alpha()) {
    return absl::InvalidArgumentError(
        "model.merged_adapter: scaling and alpha, expected one of them");
  }
  for (const float number : {adapter.scaling(), adapter.alpha()}) {
    if (std::isfinite(number)) continue;
    return absl::InvalidArgumentError(absl::StrCat("model.merged_adapter: scaling or alpha ",
                                                   number, ", expected a finite number"));
  }
  return absl::OkStatus();
}

absl::Status ValidateModel(const ModelConfig& model, bool may_be_absent) {
  if (model.path().empty()) {
    if (may_be_absent && model.ByteSizeLong() == 0) return absl::OkStatus();
    return absl::InvalidArgumentError("model.path: missing, expected the path of a model");
  }
  const absl::Status name = CheckModelName(model.name());
  if (!name.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("model.name: ", std::string(name.message())));
  }
  RETURN_IF_ERROR(CheckPositive("model.rope_theta", model.has_rope_theta(), model.rope_theta()));
  RETURN_IF_ERROR(
      CheckPositive("model.rms_norm_eps", model.has_rms_norm_eps(), model.rms_norm_eps()));
  if (model.has_merged_adapter()) RETURN_IF_ERROR(ValidateMerged(model.merged_adapter()));
  return CheckRange("number of model.stop", model.stop_size(), 0, 16);
}

absl::Status ValidateEngine(const EngineConfig& engine, bool has_cuda) {
  if (engine.device() != "cpu" && engine.device() != "cuda") {
    return absl::InvalidArgumentError(
        absl::StrCat("engine.device: \"", engine.device(), "\", expected auto, cpu or cuda"));
  }
  if (engine.device() == "cuda" && !has_cuda) {
    return absl::InvalidArgumentError(
        "engine.device: \"cuda\", expected auto or cpu: there is no GPU that this program can use");
  }
  if (engine.state_dtype() != "fp32" && engine.state_dtype() != "fp16") {
    return absl::InvalidArgumentError(
        absl::StrCat("engine.state_dtype: \"", engine.state_dtype(), "\", expected fp32 or fp16"));
  }
  if (engine.state_dtype() == "fp16" && engine.device() == "cpu") {
    return absl::InvalidArgumentError(
        "engine.state_dtype: \"fp16\", expected fp32: the CPU backend has no other");
  }
  RETURN_IF_ERROR(CheckRange("engine.max_sequences", engine.max_sequences(), 1, 65536));
  RETURN_IF_ERROR(CheckRange("engine.max_queue", engine.max_queue(), 1, 1 << 20));
  RETURN_IF_ERROR(
      CheckRange("engine.max_queue_tokens", engine.max_queue_tokens(), 1, uint64_t{1} << 31));
  RETURN_IF_ERROR(CheckRange("engine.stall_s", engine.stall_s(), 1, 86400));
  RETURN_IF_ERROR(CheckRange("engine.max_rows_per_step", engine.max_rows_per_step(), 2, 65536));
  RETURN_IF_ERROR(CheckRange("engine.prefill_target_ms", engine.prefill_target_ms(), 1, 600000));
  RETURN_IF_ERROR(
      CheckRange("engine.prefill_chunk", engine.prefill_chunk(), 1, engine.max_rows_per_step()));
  RETURN_IF_ERROR(CheckRange("engine.page_tokens", engine.page_tokens(), 1, 1024));
  if ((engine.page_tokens() & (engine.page_tokens() - 1)) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("engine.page_tokens: ", engine.page_tokens(),
                                                   ", expected a power of two from 1 to 1024"));
  }
  RETURN_IF_ERROR(CheckRange("engine.device_memory", engine.device_memory(), 0, uint64_t{1} << 46));
  RETURN_IF_ERROR(CheckRange("engine.kv_bytes", engine.kv_bytes(), 1, uint64_t{1} << 46));
  RETURN_IF_ERROR(CheckRange("engine.max_prompt_tokens", engine.max_prompt_tokens(), 1, 1 << 24));
  RETURN_IF_ERROR(CheckRange("engine.max_tokens", engine.max_tokens(), 1, 1 << 24));
  return CheckRange("engine.threads", engine.threads(), 0, 1024);
}

}  // namespace

absl::Status CheckModelName(const std::string& name) {
  if (name.empty() || name.size() > 256) {
    return absl::InvalidArgumentError(absl::StrCat(name.size(), " bytes, expected 1 to 256"));
  }
  if (name == "liveness" || name == "startup") {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\", expected another: health checks use this one"));
  }
  const bool controls = std::any_of(name.begin(), name.end(), absl::ascii_iscntrl);
  if (!controls && name.front() != ' ' && name.back() != ' ') return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(name),
                   "\", expected no control characters and no blank at either end"));
}

void FillDefaults(WorkerConfig& config, bool has_cuda) {
  if (config.listen().empty()) config.set_listen("127.0.0.1:50051");
  if (config.log_level().empty()) config.set_log_level("info");
  if (config.log_format().empty()) config.set_log_format("text");
  if (!config.has_access_log()) config.set_access_log(true);
  config.set_drain_timeout_s(OrDefault(config.drain_timeout_s(), 30u));
  FillModelDefaults(*config.mutable_model());
  FillEngineDefaults(*config.mutable_engine(), has_cuda);
  config::v1::RegistryConfig& registry = *config.mutable_registry();
  registry.set_max_mixture_states(OrDefault(registry.max_mixture_states(), 8u));
  registry.set_max_adapter_bytes(OrDefault(registry.max_adapter_bytes(), uint64_t{4} << 30));
}

absl::Status Validate(const WorkerConfig& config, bool has_cuda) {
  RETURN_IF_ERROR(CheckAddress("listen", config.listen()));
  if (!config.metrics_listen().empty()) {
    RETURN_IF_ERROR(CheckAddress("metrics_listen", config.metrics_listen()));
  }
  if (!config.health_listen().empty()) {
    RETURN_IF_ERROR(CheckAddress("health_listen", config.health_listen()));
  }
  RETURN_IF_ERROR(CheckLogLevel(config.log_level()));
  RETURN_IF_ERROR(CheckLogFormat(config.log_format()));
  RETURN_IF_ERROR(Validate(config.tls(), "tls"));
  RETURN_IF_ERROR(CheckRange("drain_timeout_s", config.drain_timeout_s(), 1, 86400));
  RETURN_IF_ERROR(ValidateModel(config.model(), !config.model_root().empty()));
  RETURN_IF_ERROR(
      CheckRange("registry.max_mixture_states", config.registry().max_mixture_states(), 1, 1024));
  RETURN_IF_ERROR(CheckRange("registry.max_adapter_bytes", config.registry().max_adapter_bytes(), 1,
                             uint64_t{1} << 46));
  return ValidateEngine(config.engine(), has_cuda);
}

}  // namespace skein
