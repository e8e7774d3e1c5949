// One operation with arguments of a model's shape, ready to run again and again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "tools/skein-bench/engine.h"
#include "tools/skein-bench/op_memory.h"

namespace skein::bench {

// Rows of a step: so many sequences with so many tokens each.
struct StepRows {
  int64_t sequences = 1;
  int64_t tokens = 1;
  int64_t count() const { return sequences * tokens; }
};

struct KernelOptions {
  EngineOptions engine;
  StepRows rows;
  int64_t context = 4096;  // tokens before the step, for attention
  int64_t max_copies = 64;
};

struct KernelCase {
  // A part of the arguments.
  struct Part {
    void* data = nullptr;
    DType dtype = DType::kF32;
    int64_t count = 0;
    int64_t bytes() const { return count * DTypeBytes(dtype); }
  };

  // Enqueues, or runs on the CPU, with the weights and states of one copy.
  std::function<absl::Status(int64_t copy)> run;
  int64_t copies = 1;          // together beyond the caches
  double bytes = 0;            // that one run must move
  double flops = 0;            // of its products
  std::vector<Part> outputs;   // of copy 0
  std::vector<Part> in_place;  // what a run of copy 0 changes and reads
};

// The names that MakeKernelCase takes.
std::vector<std::string> KernelNames();

// `memory` owns the arguments; its device runs the operation. InvalidArgument for an unknown name,
// or an operation that the shape does not have.
absl::StatusOr<KernelCase> MakeKernelCase(const std::string& name, const KernelOptions& options,
                                          Device& device, OpMemory& memory);

}  // namespace skein::bench
