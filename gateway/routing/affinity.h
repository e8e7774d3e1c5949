// Which requests belong together: those that a worker which has seen one of them serves faster.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "gateway/routing/worker_handle.h"
#include "skein/v1/inference.pb.h"

namespace skein {

// Registered states and adapters that a request names; the zero state has no name.
std::vector<std::string> EntriesOf(const v1::Conditioning& conditioning);

// How to pick a worker for `request`. The affinity key is `key` if it is not empty; else it stands
// for the start of the prompt: of a chat the turns up to the first one of the user, which stay
// when the conversation goes on; of a text its first 256 bytes; of tokens the first 64. What the
// model is conditioned with is part of it, because it changes the state that the prompt leaves.
PickRequest PickRequestFor(const v1::GenerateRequest& request, absl::string_view key);

}  // namespace skein
