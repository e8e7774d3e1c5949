// What RWKV-Infer does to requests that do not say better: its defaults of sampling, and the
// weights of a mixture that come with a request.
#pragma once

#include "absl/status/status.h"

#include "gateway/routing/worker_pool.h"
#include "gateway/rwkv_infer/text_bodies.h"

namespace skein {

// After ResolveModel. InvalidArgument for weights that are of no use.
//
// Temperature and top_p are the request's, else those of the state or mixture that it chooses, else
// those of `params`, or without these the model's, else 1 and 0.3. Penalties are the request's,
// else those of `params`, else what RWKV-Infer has always used; so is the order of sampling.
absl::Status ApplyRules(const WorkerPool& workers, InferText& text);

}  // namespace skein
