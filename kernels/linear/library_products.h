// Products by cublasLt, which is opened when it is first needed: the process runs without it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/cuda_context.h"
#include "kernels/linear/product_group.h"

namespace skein {

struct LibraryProblem;  // a product's descriptors
struct CublasLt;        // the library's functions

// For the device that was current at Create. Used by one thread.
class LibraryProducts {
 public:
  // One of the library's ways to compute a product: opaque, valid for one version of it.
  using Algorithm = std::array<uint64_t, 8>;

  // Unavailable if the library is not found or cannot be used here.
  static absl::StatusOr<std::unique_ptr<LibraryProducts>> Create();
  ~LibraryProducts();

  int64_t version() const;

  // What the library thinks fastest for this single product, best first; at most `max`.
  // Unimplemented if it cannot compute it.
  absl::StatusOr<std::vector<Algorithm>> Algorithms(const ProductGroup& product,
                                                    size_t workspace_bytes, int max);

  // Enqueues a single product. An algorithm may come from another number of rows; if it does not
  // fit these, the library's first is taken. Bias and activation are a second kernel. The first
  // call for a shape creates its descriptors.
  absl::Status Run(const ProductGroup& product, const ProductOperands& operands,
                   const Algorithm& algorithm, CudaContext& context);

 private:
  LibraryProducts(std::unique_ptr<CublasLt> library, void* handle);

  absl::StatusOr<LibraryProblem*> ProblemFor(const ProductGroup& product);
  absl::StatusOr<Algorithm> Fitting(LibraryProblem& problem, const ProductGroup& product,
                                    const Algorithm& wanted, size_t workspace_bytes);

  std::unique_ptr<CublasLt> library_;
  void* handle_;
  absl::flat_hash_map<ProductGroup, std::unique_ptr<LibraryProblem>> problems_;
};

}  // namespace skein
