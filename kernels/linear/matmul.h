// Products with many rows: for every shape the fastest of the library's algorithms and our own
// tiles, chosen by measurement.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/cuda_context.h"
#include "kernels/linear/library_products.h"
#include "kernels/linear/product_group.h"
#include "kernels/linear/product_plan.h"
#include "kernels/linear/tune_cache.h"

namespace skein {

struct MatmulOptions {
  // Where choices are kept between runs; empty: nowhere.
  std::string cache_directory;
  // Without it every shape takes the library's first suggestion, or our tile of its size.
  bool autotune = true;
};

// For the device that was current at Create. Used by one thread. A shape's plan holds for its
// bucket of rows (RowBucket).
class Matmul {
 public:
  // Unavailable if cublasLt is not found.
  static absl::StatusOr<std::unique_ptr<Matmul>> Create(MatmulOptions options);

  // Chooses plans for the groups that have none, by measuring those that are likely, and keeps them
  // in the file. Takes about 0.02 s a group, which is added up in the context, allocates 0.1 to
  // 0.4 GB for that time and waits for the device. Without memory for it, without autotune, or
  // where the products are so small that it makes no difference, plans stay unmeasured.
  absl::Status Prepare(std::span<const ProductGroup> groups, CudaContext& context);

  // Enqueues a group with WholeVectors. An unknown group is prepared if the context says `tuning`,
  // but not a second time if that failed; otherwise it runs unmeasured.
  absl::Status Run(const ProductGroup& group, std::span<const ProductOperands> operands,
                   CudaContext& context);
  // The same by a given plan.
  absl::Status RunPlan(const ProductPlan& plan, const ProductGroup& group,
                       std::span<const ProductOperands> operands, CudaContext& context);

  // The plan of a prepared group; none before.
  std::optional<ProductPlan> PlanOf(const ProductGroup& group) const;
  LibraryProducts& library() { return *library_; }

 private:
  // For a plan that has not been measured.
  struct StandIn {
    ProductPlan plan;
    bool tried = false;  // measuring it failed
  };

  Matmul(MatmulOptions options, std::unique_ptr<LibraryProducts> library, std::string fingerprint);

  absl::StatusOr<ProductPlan> PlanFor(const ProductGroup& bucket, CudaContext& context);
  absl::StatusOr<ProductPlan> FirstGuess(const ProductGroup& bucket, const CudaContext& context);
  absl::StatusOr<std::vector<ProductPlan>> Likely(const ProductGroup& bucket, CudaContext& context);
  absl::StatusOr<ProductPlan> Measured(const ProductGroup& bucket, CudaContext& context);
  absl::Status PrepareOne(const ProductGroup& bucket, CudaContext& context);

  const MatmulOptions options_;
  const std::unique_ptr<LibraryProducts> library_;
  TuneCache cache_;
  // By bucket.
  absl::flat_hash_map<ProductGroup, ProductPlan> plans_;
  absl::flat_hash_map<ProductGroup, StandIn> unmeasured_;
};

}  // namespace skein
