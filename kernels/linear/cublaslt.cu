#include <string>

#include <dlfcn.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/linear/cublaslt.h"

namespace skein {
namespace {

constexpr const char* kNames[] = {"libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13",
                                  "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.12"};

absl::StatusOr<void*> OpenLibrary() {
  std::string reason;
  for (const char* name : kNames) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    if (reason.empty()) reason = dlerror();
  }
  return absl::UnavailableError(absl::StrCat("cublasLt: ", reason));
}

template <typename Function>
absl::Status Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function != nullptr) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cublasLt: no function ", name));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CublasLt>> CublasLt::Open() {
  ASSIGN_OR_RETURN(void* const library, OpenLibrary());
  auto found = std::make_unique<CublasLt>();
  const auto find = [&](const char* name, auto& function) { return Find(library, name, function); };
  RETURN_IF_ERROR(find("cublasLtCreate", found->Create));
  RETURN_IF_ERROR(find("cublasLtDestroy", found->Destroy));
  RETURN_IF_ERROR(find("cublasLtGetVersion", found->GetVersion));
  RETURN_IF_ERROR(find("cublasLtMatmul", found->Matmul));
  RETURN_IF_ERROR(find("cublasLtMatmulAlgoCheck", found->AlgoCheck));
  RETURN_IF_ERROR(find("cublasLtMatmulAlgoGetHeuristic", found->GetHeuristic));
  RETURN_IF_ERROR(find("cublasLtMatmulDescCreate", found->DescCreate));
  RETURN_IF_ERROR(find("cublasLtMatmulDescDestroy", found->DescDestroy));
  RETURN_IF_ERROR(find("cublasLtMatmulDescSetAttribute", found->DescSetAttribute));
  RETURN_IF_ERROR(find("cublasLtMatrixLayoutCreate", found->LayoutCreate));
  RETURN_IF_ERROR(find("cublasLtMatrixLayoutDestroy", found->LayoutDestroy));
  RETURN_IF_ERROR(find("cublasLtMatmulPreferenceCreate", found->PreferenceCreate));
  RETURN_IF_ERROR(find("cublasLtMatmulPreferenceDestroy", found->PreferenceDestroy));
  RETURN_IF_ERROR(find("cublasLtMatmulPreferenceSetAttribute", found->PreferenceSetAttribute));
  return found;
}

}  // namespace skein
