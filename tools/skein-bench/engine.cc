#include "tools/skein-bench/engine.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "tools/random_model/model_in_memory.h"
#include "tools/random_model/weights.h"
#include "tools/skein-bench/timing.h"
#include "worker/models/registry.h"
#include "worker/weights/tensor_entry.h"

namespace skein::bench {

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options,
                                                       const EngineSize& size) {
  std::unique_ptr<Engine> engine(new Engine(options, size));
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
  ASSIGN_OR_RETURN(model_, LoadModel(*files, load, Stream(threads_)));
  load_seconds_ = Now() - begin;
  return absl::OkStatus();
}

absl::Status Engine::MakePools() {
  ASSIGN_OR_RETURN(
      states_, StatePool::Create(model_->state_layout().bytes, static_cast<int>(size_.sequences)));
  const KvLayout& kv = model_->kv_layout();
  PagePool::Layout layout;
  layout.num_planes = 2 * kv.num_layers;
  layout.token_bytes = int64_t{kv.num_kv_heads} * kv.head_dim * DTypeBytes(kv.dtype);
  layout.page_tokens = kPageTokens;
  const int64_t pages = (size_.tokens_per_sequence + kPageTokens - 1) / kPageTokens;
  ASSIGN_OR_RETURN(pages_, PagePool::Create(layout, size_.sequences * pages * layout.num_planes *
                                                        layout.page_bytes()));
  ASSIGN_OR_RETURN(runner_,
                   StepRunner::Create(model_.get(), states_.get(), pages_.get(), Stream(threads_),
                                      {.max_rows = size_.max_rows,
                                       .max_sequences = size_.sequences,
                                       .max_outputs = size_.sequences}));
  return absl::OkStatus();
}

ModelCost Engine::cost() const {
  return CostOf(options_.shape, options_.format, model_->state_layout().bytes,
                model_->kv_layout().bytes_per_token());
}

absl::Status Engine::FillPages() {
  const PagePool::Layout& layout = pages_->layout();
  if (layout.num_planes == 0) return absl::OkStatus();
  const DType dtype = model_->kv_layout().dtype;
  const int64_t count =
      layout.num_planes * pages_->num_pages() * layout.page_bytes() / DTypeBytes(dtype);
  const random_model::PlannedTensor values{"kv", {count}, {.spread = 1.7320508f}};
  const random_model::RandomWeights random(values, dtype, options_.seed);
  std::byte* const base = static_cast<std::byte*>(pages_->base());
  threads_.Run(count, int64_t{1} << 18, [&](int64_t begin, int64_t end) {
    random.Write(begin, end - begin, base + begin * DTypeBytes(dtype));
  });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> Engine::ReadState(int32_t slot, const StateField& field) const {
  const int64_t count = NumElements(field.shape);
  const std::byte* record = static_cast<const std::byte*>(states_->base()) +
                            int64_t{slot} * states_->record_bytes() + field.offset;
  std::vector<float> values(static_cast<size_t>(count));
  RETURN_IF_ERROR(ConvertToFloat(field.dtype, record, count, values.data()));
  return values;
}

}  // namespace skein::bench
