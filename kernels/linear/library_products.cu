#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/linear/cublaslt.h"
#include "kernels/linear/library_products.h"

namespace skein {

struct LibraryProblem {
  explicit LibraryProblem(const CublasLt& functions) : library(functions) {}
  LibraryProblem(const LibraryProblem&) = delete;
  LibraryProblem& operator=(const LibraryProblem&) = delete;
  ~LibraryProblem() {
    for (const cublasLtMatrixLayout_t layout : {weight, x, y}) {
      if (layout != nullptr) library.LayoutDestroy(layout);
    }
    if (operation != nullptr) library.DescDestroy(operation);
  }

  const CublasLt& library;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t weight = nullptr, x = nullptr, y = nullptr;
  // What was asked for last, and what then fitted.
  LibraryProducts::Algorithm wanted = {}, fitting = {};
  bool fits = false;
};

namespace {

static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(LibraryProducts::Algorithm));
constexpr uint32_t kAlignment = 16;  // of every operand

absl::Status Checked(cublasStatus_t status, const ProductGroup& product) {
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  const std::string message =
      absl::StrCat("cublasLt: status ", status, " for ", GroupName(product));
  return status == CUBLAS_STATUS_NOT_SUPPORTED ? absl::UnimplementedError(message)
                                               : absl::InternalError(message);
}

cudaDataType_t TypeOf(DType dtype) {
  if (dtype == DType::kF32) return CUDA_R_32F;
  return dtype == DType::kF16 ? CUDA_R_16F : CUDA_R_16BF;
}

// y = activation(y + bias) for four neighbouring elements at a time.
template <typename T>
__global__ void FinishKernel(T* y, const float* bias, Activation activation, int outputs,
                             int64_t count) {
  cuda::DependencyWait();
  struct alignas(4 * sizeof(T)) Four {
    T v[4];
  };
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x * 4;
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 4; i < count;
       i += stride) {
    Four four = *reinterpret_cast<const Four*>(y + i);
    const int column = static_cast<int>(i % outputs);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float b = bias == nullptr ? 0.0f : bias[column + j];
      four.v[j] = cuda::Narrow<T>(cuda::Activated(cuda::Widen(four.v[j]) + b, activation));
    }
    *reinterpret_cast<Four*>(y + i) = four;
  }
}

template <typename T>
absl::Status LaunchFinish(const ProductGroup& product, const ProductOperands& operands,
                          CudaContext& context) {
  constexpr int kThreads = 256;
  const ProductShape& shape = product.products[0];
  const int64_t count = product.rows * shape.outputs;
  const int64_t blocks = std::min<int64_t>((count / 4 + kThreads - 1) / kThreads,
                                           static_cast<int64_t>(context.sm_count) * 8);
  return cuda::Launch(context, "finish_product", FinishKernel<T>,
                      {dim3(static_cast<unsigned>(blocks)), dim3(kThreads)},
                      static_cast<T*>(operands.y), operands.bias, shape.activation,
                      static_cast<int>(shape.outputs), count);
}

absl::Status Finish(const ProductGroup& product, const ProductOperands& operands,
                    CudaContext& context) {
  const ProductShape& shape = product.products[0];
  if (operands.bias == nullptr && shape.activation == Activation::kNone) return absl::OkStatus();
  if (shape.result == DType::kF32) return LaunchFinish<float>(product, operands, context);
  if (shape.result == DType::kF16) return LaunchFinish<__half>(product, operands, context);
  return LaunchFinish<__nv_bfloat16>(product, operands, context);
}

}  // namespace

LibraryProducts::LibraryProducts(std::unique_ptr<CublasLt> library, void* handle)
    : library_(std::move(library)), handle_(handle) {}

LibraryProducts::~LibraryProducts() {
  problems_.clear();
  library_->Destroy(static_cast<cublasLtHandle_t>(handle_));
}

absl::StatusOr<std::unique_ptr<LibraryProducts>> LibraryProducts::Create() {
  ASSIGN_OR_RETURN(std::unique_ptr<CublasLt> library, CublasLt::Open());
  cublasLtHandle_t handle = nullptr;
  const cublasStatus_t status = library->Create(&handle);
  if (status != CUBLAS_STATUS_SUCCESS) {
    return absl::UnavailableError(absl::StrCat("cublasLt: cannot be started, status ", status));
  }
  return std::unique_ptr<LibraryProducts>(new LibraryProducts(std::move(library), handle));
}

int64_t LibraryProducts::version() const { return static_cast<int64_t>(library_->GetVersion()); }

// The library thinks in columns: to it x is [inputs, rows], y is [outputs, rows], and a weight
// matrix lies as [inputs, outputs] unless it is stored transposed.
absl::StatusOr<LibraryProblem*> LibraryProducts::ProblemFor(const ProductGroup& product) {
  const auto found = problems_.find(product);
  if (found != problems_.end()) return found->second.get();
  const ProductShape& shape = product.products[0];
  auto problem = std::make_unique<LibraryProblem>(*library_);
  const auto check = [&](cublasStatus_t status) { return Checked(status, product); };
  RETURN_IF_ERROR(check(library_->DescCreate(&problem->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F)));
  const cublasOperation_t turned = product.transposed ? CUBLAS_OP_N : CUBLAS_OP_T;
  RETURN_IF_ERROR(check(library_->DescSetAttribute(problem->operation, CUBLASLT_MATMUL_DESC_TRANSA,
                                                   &turned, sizeof(turned))));
  const uint64_t inputs = shape.inputs, outputs = shape.outputs;
  const uint64_t height = product.transposed ? outputs : inputs;
  const uint64_t width = product.transposed ? inputs : outputs;
  const cudaDataType_t operand = TypeOf(product.operand);
  RETURN_IF_ERROR(check(library_->LayoutCreate(&problem->weight, operand, height, width, height)));
  RETURN_IF_ERROR(
      check(library_->LayoutCreate(&problem->x, operand, inputs, product.rows, inputs)));
  RETURN_IF_ERROR(check(
      library_->LayoutCreate(&problem->y, TypeOf(shape.result), outputs, product.rows, outputs)));
  LibraryProblem* const result = problem.get();
  problems_.emplace(product, std::move(problem));
  return result;
}

absl::StatusOr<std::vector<LibraryProducts::Algorithm>> LibraryProducts::Algorithms(
    const ProductGroup& product, size_t workspace_bytes, int max) {
  ASSIGN_OR_RETURN(LibraryProblem* const problem, ProblemFor(product));
  cublasLtMatmulPreference_t preference = nullptr;
  RETURN_IF_ERROR(Checked(library_->PreferenceCreate(&preference), product));
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    return library_->PreferenceSetAttribute(preference, attribute, &value, sizeof(value));
  };
  // Not a vector: nvcc 13.0 breaks off at one of this type.
  const auto found = std::make_unique<cublasLtMatmulHeuristicResult_t[]>(max);
  int count = 0;
  cublasStatus_t status = set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  for (const auto operand :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    if (status == CUBLAS_STATUS_SUCCESS) status = set(operand, kAlignment);
  }
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = library_->GetHeuristic(static_cast<cublasLtHandle_t>(handle_), problem->operation,
                                    problem->weight, problem->x, problem->y, problem->y, preference,
                                    max, found.get(), &count);
  }
  library_->PreferenceDestroy(preference);
  RETURN_IF_ERROR(Checked(status, product));
  std::vector<Algorithm> algorithms;
  for (int i = 0; i < count; ++i) {
    if (found[i].state != CUBLAS_STATUS_SUCCESS) continue;
    std::memcpy(algorithms.emplace_back().data(), &found[i].algo, sizeof(Algorithm));
  }
  if (algorithms.empty()) return Checked(CUBLAS_STATUS_NOT_SUPPORTED, product);
  return algorithms;
}

absl::StatusOr<LibraryProducts::Algorithm> LibraryProducts::Fitting(LibraryProblem& problem,
                                                                    const ProductGroup& product,
                                                                    const Algorithm& wanted,
                                                                    size_t workspace_bytes) {
  if (problem.fits && problem.wanted == wanted) return problem.fitting;
  cublasLtMatmulAlgo_t algorithm;
  std::memcpy(&algorithm, wanted.data(), sizeof(algorithm));
  cublasLtMatmulHeuristicResult_t result = {};
  const cublasStatus_t status =
      library_->AlgoCheck(static_cast<cublasLtHandle_t>(handle_), problem.operation, problem.weight,
                          problem.x, problem.y, problem.y, &algorithm, &result);
  problem.fitting = wanted;
  if (status != CUBLAS_STATUS_SUCCESS || result.workspaceSize > workspace_bytes) {
    ASSIGN_OR_RETURN(const std::vector<Algorithm> first, Algorithms(product, workspace_bytes, 1));
    problem.fitting = first[0];
  }
  problem.wanted = wanted;
  problem.fits = true;
  return problem.fitting;
}

absl::Status LibraryProducts::Run(const ProductGroup& product, const ProductOperands& operands,
                                  const Algorithm& algorithm, CudaContext& context) {
  ASSIGN_OR_RETURN(LibraryProblem* const problem, ProblemFor(product));
  ASSIGN_OR_RETURN(const Algorithm fitting,
                   Fitting(*problem, product, algorithm, context.workspace_bytes));
  cublasLtMatmulAlgo_t opaque;
  std::memcpy(&opaque, fitting.data(), sizeof(opaque));
  const float one = 1.0f, keep = product.products[0].accumulate ? 1.0f : 0.0f;
  RETURN_IF_ERROR(
      Checked(library_->Matmul(static_cast<cublasLtHandle_t>(handle_), problem->operation, &one,
                               operands.weight, problem->weight, operands.x, problem->x, &keep,
                               operands.y, problem->y, operands.y, problem->y, &opaque,
                               context.workspace, context.workspace_bytes, context.stream),
              product));
  return Finish(product, operands, context);
}

}  // namespace skein
