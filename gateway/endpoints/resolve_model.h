// "<model> <entry>" as the name of a model: how GET /v1/models lists what is registered with it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "gateway/endpoints/text_request.h"
#include "gateway/routing/worker_pool.h"

namespace skein {

struct ModelName {
  std::string model;
  std::string entry;  // empty: none is named
};

// A name that a model has is that model's; else it is cut after the longest model that it begins
// with, followed by one blank. What begins with no model stays whole.
ModelName SplitModelName(const WorkerPool& workers, absl::string_view name);

// Moves an entry named by the request's model into its conditioning, and keeps the name as a whole
// for the answer. InvalidArgument if the fields of the body choose something else.
absl::Status ResolveModel(const WorkerPool& workers, TextRequest& request);

// NotFound, naming the field, for an entry that no worker of the model has registered. After
// ResolveModel.
absl::Status CheckEntries(const WorkerPool& workers, const TextRequest& request);

}  // namespace skein
