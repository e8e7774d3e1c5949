#include "tools/skein-bench/engine.h"

#include <algorithm>
#include <vector>

#include "common/base/status_macros.h"
#include "kernels/device/memory.h"
#include "kernels/linear/open_device.h"
#include "tools/random_model/model_in_memory.h"
#include "tools/random_model/weights.h"
#include "tools/skein-bench/timing.h"
#include "worker/models/registry.h"
#include "worker/weights/tensor_entry.h"

namespace skein::bench {
namespace {

constexpr int64_t kFillBytes = int64_t{64} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const EngineOptions& options) {
  if (options.backend == "cpu") return Device::Cpu(options.threads);
  GpuOptions gpu;
  gpu.cuda.batch_invariant = options.batch_invariant;
  gpu.cache_directory = options.cache_directory;
  gpu.autotune = options.autotune;
  return OpenGpu(gpu);
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options,
                                                       const EngineSize& size) {
  EngineSize padded = size;
  padded.max_rows = std::max(size.max_rows, StepRunner::Bucket(size.sequences));
  std::unique_ptr<Engine> engine(new Engine(options, padded));
  ASSIGN_OR_RETURN(engine->device_, OpenDevice(options));
  RETURN_IF_ERROR(engine->Load());
  RETURN_IF_ERROR(engine->MakePools());
  return engine;
}

absl::Status Engine::Load() {
  const double begin = Now();
  ASSIGN_OR_RETURN(const auto files, random_model::ModelInMemory(options_.shape, options_.format,
                                                                 options_.seed, threads_));
  ModelLoadOptions load;
  load.max_rows = size_.max_rows;
  load.state_dtype = options_.state;
  ASSIGN_OR_RETURN(model_, LoadModel(*files, load, device_->stream()));
  load_seconds_ = Now() - begin;
  return absl::OkStatus();
}

absl::Status Engine::MakePools() {
  const Stream stream = device_->stream();
  ASSIGN_OR_RETURN(states_, StatePool::Create(model_->state_layout().bytes,
                                              static_cast<int>(size_.sequences), stream));
  const KvLayout& kv = model_->kv_layout();
  PagePool::Layout layout;
  layout.num_planes = 2 * kv.num_layers;
  layout.token_bytes = int64_t{kv.num_kv_heads} * kv.head_dim * DTypeBytes(kv.dtype);
  layout.page_tokens = kPageTokens;
  const int64_t pages = (size_.tokens_per_sequence + kPageTokens - 1) / kPageTokens;
  ASSIGN_OR_RETURN(
      pages_,
      PagePool::Create(layout, size_.sequences * pages * layout.num_planes * layout.page_bytes(),
                       stream));
  const int64_t padded = StepRunner::Bucket(size_.sequences);
  ASSIGN_OR_RETURN(
      runner_, StepRunner::Create(
                   model_.get(), states_.get(), pages_.get(), stream,
                   {.max_rows = size_.max_rows, .max_sequences = padded, .max_outputs = padded}));
  return absl::OkStatus();
}

ModelCost Engine::cost() const {
  return CostOf(options_.shape, options_.format, model_->state_layout().bytes,
                model_->kv_layout().bytes_per_token());
}

absl::Status Engine::FillPages() {
  const PagePool::Layout& layout = pages_->layout();
  const int64_t bytes = layout.num_planes * pages_->num_pages() * layout.page_bytes();
  if (bytes == 0) return absl::OkStatus();
  // One random block, which is then copied to the rest, doubling what there is.
  const DType dtype = model_->kv_layout().dtype;
  const int64_t block = std::min(bytes, kFillBytes);
  const int64_t count = block / DTypeBytes(dtype);
  const random_model::PlannedTensor values{"kv", {count}, {.spread = 1.7320508f}};
  const random_model::RandomWeights random(values, dtype, options_.seed);
  const Stream stream = device_->stream();
  ASSIGN_OR_RETURN(const auto staging, CreateStaging(stream, block));
  std::byte* const made = static_cast<std::byte*>(staging->data());
  threads_.Run(count, int64_t{1} << 18, [&](int64_t begin, int64_t end) {
    random.Write(begin, end - begin, made + begin * DTypeBytes(dtype));
  });
  std::byte* const base = static_cast<std::byte*>(pages_->base());
  RETURN_IF_ERROR(Copy(stream, base, made, block));
  for (int64_t done = block; done < bytes; done *= 2) {
    RETURN_IF_ERROR(Copy(stream, base + done, base, std::min(done, bytes - done)));
  }
  return Synchronize(stream);
}

absl::StatusOr<std::vector<float>> Engine::ReadState(int32_t slot, const StateField& field) {
  const int64_t count = NumElements(field.shape);
  const int64_t bytes = count * DTypeBytes(field.dtype);
  const std::byte* record = static_cast<const std::byte*>(states_->base()) +
                            int64_t{slot} * states_->record_bytes() + field.offset;
  const Stream stream = device_->stream();
  ASSIGN_OR_RETURN(const auto staging, CreateStaging(stream, bytes));
  RETURN_IF_ERROR(Copy(stream, staging->data(), record, bytes));
  RETURN_IF_ERROR(Synchronize(stream));
  std::vector<float> values(static_cast<size_t>(count));
  RETURN_IF_ERROR(ConvertToFloat(field.dtype, staging->data(), count, values.data()));
  return values;
}

}  // namespace skein::bench
