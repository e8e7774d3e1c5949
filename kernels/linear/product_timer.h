// Times ways to compute a group of products, on random operands and with weights that are not in
// the L2 cache.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/cuda_context.h"
#include "kernels/linear/product_group.h"

namespace skein {

// Owns a stream and device memory. Used by one thread.
class ProductTimer {
 public:
  // Enqueues the group once, on the stream of the context that it is given.
  using Enqueue =
      std::function<absl::Status(std::span<const ProductOperands> operands, CudaContext& context)>;

  // ResourceExhausted without memory for the operands.
  static absl::StatusOr<std::unique_ptr<ProductTimer>> Create(const ProductGroup& group,
                                                              const CudaContext& context);
  ~ProductTimer();

  // Microseconds of one run: the median of three graphs of runs. If the first run takes longer than
  // `limit_us`, its time alone. The error of `enqueue`, or Internal if the device reports one.
  absl::StatusOr<double> Time(const Enqueue& enqueue, double limit_us);

 private:
  struct Device;
  struct Graph;

  ProductTimer(const CudaContext& context, std::unique_ptr<Device> device);
  absl::Status Allocate(const ProductGroup& group);
  absl::Status Capture(const Enqueue& enqueue, int runs, Graph& graph);
  absl::StatusOr<double> TimeGraph(const Enqueue& enqueue, int runs);

  CudaContext context_;
  std::unique_ptr<Device> device_;
  std::vector<std::vector<ProductOperands>> copies_;  // to take in turn
};

}  // namespace skein
