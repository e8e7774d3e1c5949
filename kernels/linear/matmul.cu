#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <utility>

#include <cuda_runtime.h>

#include "absl/strings/str_cat.h"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "kernels/linear/matmul.h"
#include "kernels/linear/product_cost.h"
#include "kernels/linear/product_timer.h"

namespace skein {
namespace {

constexpr int kMaxAlgorithms = 6;

ProductGroup BucketOf(const ProductGroup& group) {
  ProductGroup bucket = group;
  bucket.rows = RowBucket(group.rows);
  return bucket;
}

absl::StatusOr<std::string> Fingerprint(const LibraryProducts& library) {
  int device = 0, driver = 0;
  cudaDeviceProp properties;
  if (cudaGetDevice(&device) != cudaSuccess || cudaDriverGetVersion(&driver) != cudaSuccess ||
      cudaGetDeviceProperties(&properties, device) != cudaSuccess) {
    return absl::UnavailableError("products: no CUDA device");
  }
  return absl::StrCat("gpu=", properties.name, " sms=", properties.multiProcessorCount,
                      " driver=", driver, " cublaslt=", library.version(), " tiles=", kTileVersion);
}

bool Capturing(CUstream_st* stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(stream, &status) == cudaSuccess &&
         status != cudaStreamCaptureStatusNone;
}

}  // namespace

Matmul::Matmul(MatmulOptions options, std::unique_ptr<LibraryProducts> library,
               std::string fingerprint)
    : options_(std::move(options)),
      library_(std::move(library)),
      cache_(options_.cache_directory, std::move(fingerprint)) {}

absl::StatusOr<std::unique_ptr<Matmul>> Matmul::Create(MatmulOptions options) {
  ASSIGN_OR_RETURN(std::unique_ptr<LibraryProducts> library, LibraryProducts::Create());
  ASSIGN_OR_RETURN(std::string fingerprint, Fingerprint(*library));
  return std::unique_ptr<Matmul>(
      new Matmul(std::move(options), std::move(library), std::move(fingerprint)));
}

std::optional<ProductPlan> Matmul::PlanOf(const ProductGroup& group) const {
  const auto found = plans_.find(BucketOf(group));
  if (found == plans_.end()) return std::nullopt;
  return found->second;
}

absl::StatusOr<ProductPlan> Matmul::FirstGuess(const ProductGroup& bucket,
                                               const CudaContext& context) {
  ProductPlan plan;
  plan.tiles = TileProductsTake(bucket, context);
  if (plan.tiles) plan.tile = PickTile(bucket, context.sm_count);
  if (plan.tiles && !PickParts(bucket, context.sm_count)) return plan;
  if (bucket.count > 1) return ProductPlan();
  const absl::StatusOr<std::vector<LibraryProducts::Algorithm>> first =
      library_->Algorithms(bucket, context.workspace_bytes, 1);
  if (first.ok()) {
    plan.tiles = false;
    plan.algorithm = first->front();
  } else if (!plan.tiles) {
    return first.status();
  }
  return plan;
}

absl::StatusOr<ProductPlan> Matmul::PlanFor(const ProductGroup& bucket, CudaContext& context) {
  const auto found = plans_.find(bucket);
  if (found != plans_.end()) return found->second;
  const bool tune = context.tuning && options_.autotune && !Capturing(context.stream);
  const auto stand_in = unmeasured_.find(bucket);
  if (stand_in != unmeasured_.end() && (stand_in->second.tried || !tune)) {
    return stand_in->second.plan;
  }
  const std::optional<std::string> kept = cache_.Find(GroupName(bucket));
  const std::optional<ProductPlan> plan = kept ? ParsePlan(*kept) : std::nullopt;
  if (plan.has_value()) return plans_[bucket] = *plan;
  if (tune) {
    RETURN_IF_ERROR(Prepare({&bucket, 1}, context));
    const auto prepared = plans_.find(bucket);
    if (prepared != plans_.end()) return prepared->second;
  }
  ASSIGN_OR_RETURN(const ProductPlan guess, FirstGuess(bucket, context));
  unmeasured_[bucket] = {guess, tune};
  return guess;
}

absl::Status Matmul::Run(const ProductGroup& group, std::span<const ProductOperands> operands,
                         CudaContext& context) {
  ASSIGN_OR_RETURN(const ProductPlan plan, PlanFor(BucketOf(group), context));
  return RunPlan(plan, group, operands, context);
}

absl::Status Matmul::RunPlan(const ProductPlan& plan, const ProductGroup& group,
                             std::span<const ProductOperands> operands, CudaContext& context) {
  if (plan.tiles) return TileProducts(group, operands, plan.tile, context);
  if (group.count == 1) return library_->Run(group, operands[0], plan.algorithm, context);
  for (const GroupPart& part : PartsOf(group)) {
    std::array<ProductOperands, ProductGroup::kMax> its;
    for (int i = 0; i < part.group.count; ++i) its[i] = operands[part.places[i]];
    RETURN_IF_ERROR(Run(part.group, {its.data(), static_cast<size_t>(part.group.count)}, context));
  }
  return absl::OkStatus();
}

// The plans that may be the fastest, likely ones first. Where a group's parts are to run one by
// one, they get their plans.
absl::StatusOr<std::vector<ProductPlan>> Matmul::Likely(const ProductGroup& bucket,
                                                        CudaContext& context) {
  std::vector<ProductPlan> plans;
  if (TileProductsTake(bucket, context)) {
    for (const ProductTile& tile : LikelyTiles(bucket, context.sm_count)) {
      plans.push_back({true, tile, {}});
    }
  }
  if (!plans.empty() && !PartsAreLikely(bucket, context.sm_count)) return plans;
  if (bucket.count > 1) {
    for (const GroupPart& part : PartsOf(bucket)) {
      RETURN_IF_ERROR(PrepareOne(part.group, context));
    }
    plans.emplace_back();
  } else if (const auto algorithms =
                 library_->Algorithms(bucket, context.workspace_bytes, kMaxAlgorithms);
             algorithms.ok()) {
    for (const LibraryProducts::Algorithm& algorithm : *algorithms) {
      plans.emplace_back().algorithm = algorithm;
    }
  }
  return plans;
}

absl::StatusOr<ProductPlan> Matmul::Measured(const ProductGroup& bucket, CudaContext& context) {
  ASSIGN_OR_RETURN(const std::vector<ProductPlan> candidates, Likely(bucket, context));
  ASSIGN_OR_RETURN(const std::unique_ptr<ProductTimer> timer,
                   ProductTimer::Create(bucket, context));
  std::vector<ProductTimer::Enqueue> ways;
  for (const ProductPlan& plan : candidates) {
    ways.emplace_back([&](std::span<const ProductOperands> operands, CudaContext& timed) {
      return RunPlan(plan, bucket, operands, timed);
    });
  }
  ASSIGN_OR_RETURN(const std::vector<double> us, timer->Compare(ways));
  const auto best = std::min_element(us.begin(), us.end());
  if (best == us.end() || std::isinf(*best)) {
    return absl::UnimplementedError(absl::StrCat("products: nothing runs ", GroupName(bucket)));
  }
  const ProductPlan& plan = candidates[best - us.begin()];
  LogDebug("products tuned",
           {{"group", GroupName(bucket)}, {"plan", PlanText(plan)}, {"us", absl::StrCat(*best)}});
  return plan;
}

absl::Status Matmul::PrepareOne(const ProductGroup& bucket, CudaContext& context) {
  if (plans_.contains(bucket) || !WholeVectors(bucket)) return absl::OkStatus();
  const std::optional<std::string> kept = cache_.Find(GroupName(bucket));
  if (const auto plan = kept ? ParsePlan(*kept) : std::nullopt; plan.has_value()) {
    plans_[bucket] = *plan;
    return absl::OkStatus();
  }
  if (!options_.autotune || IsNegligible(bucket)) return absl::OkStatus();
  const absl::StatusOr<ProductPlan> plan = Measured(bucket, context);
  if (absl::IsResourceExhausted(plan.status()) || absl::IsUnimplemented(plan.status())) {
    LogWarning("products not tuned",
               {{"group", GroupName(bucket)}, {"reason", std::string(plan.status().message())}});
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(plan.status());
  plans_[bucket] = *plan;
  cache_.Put(GroupName(bucket), PlanText(*plan));
  ++context.tuned_products;
  return absl::OkStatus();
}

absl::Status Matmul::Prepare(std::span<const ProductGroup> groups, CudaContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  for (const ProductGroup& group : groups) RETURN_IF_ERROR(PrepareOne(BucketOf(group), context));
  const absl::Status saved = cache_.Save();
  if (!saved.ok()) {
    LogWarning("tuning file not written", {{"reason", std::string(saved.message())}});
  }
  context.tuning_seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return absl::OkStatus();
}

}  // namespace skein
