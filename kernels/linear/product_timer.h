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

  // Microseconds of one run of each way; infinite for one that fails, or whose first run takes so
  // long that it is not measured further. The others take turns, so that clocks and heat are the
  // same for all, and those that are close to the fastest take more of them. Internal if the device
  // reports an error.
  absl::StatusOr<std::vector<double>> Compare(std::span<const Enqueue> ways);

 private:
  struct Device;
  struct Graph;

  ProductTimer(const CudaContext& context, std::unique_ptr<Device> device);
  absl::Status Allocate(const ProductGroup& group);
  void ClearCache();
  absl::Status Capture(const Enqueue& enqueue, int runs, Graph& graph);
  absl::StatusOr<double> TimeOnce(const Enqueue& enqueue);
  absl::StatusOr<double> TimeGraph(const Graph& graph, int runs);
  // Of the graphs that are not null, behind what `times` already has of each.
  absl::Status TimeInTurns(const std::vector<std::unique_ptr<Graph>>& graphs, int runs, int rounds,
                           std::vector<std::vector<double>>& times);

  CudaContext context_;
  std::unique_ptr<Device> device_;
  std::vector<std::vector<ProductOperands>> copies_;  // to take in turn
  // What to read so that no copy is in the L2 cache: nothing if they are larger than that.
  const void* behind_ = nullptr;
  int64_t bytes_behind_ = 0;
};

}  // namespace skein
