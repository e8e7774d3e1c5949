// The functions of cublasLt that products use, found at run time. For .cu files.
#pragma once

#include <memory>

#include <cublasLt.h>

#include "absl/status/statusor.h"

namespace skein {

struct CublasLt {
  decltype(&::cublasLtCreate) Create;
  decltype(&::cublasLtDestroy) Destroy;
  decltype(&::cublasLtGetVersion) GetVersion;
  decltype(&::cublasLtMatmul) Matmul;
  decltype(&::cublasLtMatmulAlgoCheck) AlgoCheck;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) GetHeuristic;
  decltype(&::cublasLtMatmulDescCreate) DescCreate;
  decltype(&::cublasLtMatmulDescDestroy) DescDestroy;
  decltype(&::cublasLtMatmulDescSetAttribute) DescSetAttribute;
  decltype(&::cublasLtMatrixLayoutCreate) LayoutCreate;
  decltype(&::cublasLtMatrixLayoutDestroy) LayoutDestroy;
  decltype(&::cublasLtMatmulPreferenceCreate) PreferenceCreate;
  decltype(&::cublasLtMatmulPreferenceDestroy) PreferenceDestroy;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) PreferenceSetAttribute;

  // Version 13 before 12, by the loader's search path and then in the toolkit's usual place. The
  // library stays open. Unavailable, with the loader's words, if there is none.
  static absl::StatusOr<std::unique_ptr<CublasLt>> Open();
};

}  // namespace skein
