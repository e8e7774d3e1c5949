// What the step loop keeps about a request and about each of its choices.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "common/text/text_assembler.h"
#include "kernels/sample/penalty_table.h"
#include "worker/engine/generation_request.h"
#include "worker/memory/page_pool.h"

namespace skein {

// An accepted request. Owned by the loop's thread once it has left the inbox.
struct ActiveRequest {
  uint64_t id = 0;
  GenerationRequest request;
  absl::Time accepted;
  std::optional<absl::Duration> queue_wait;   // until it was admitted
  std::optional<absl::Duration> first_token;  // until its prompt was fed
  std::shared_ptr<const StopMatcher> stop_matcher;
  std::vector<uint32_t> mask;  // tokens that it may draw, a bit each; empty: all of the vocabulary
  std::vector<TokenOutput> prompt;      // with logprobs of the prompt, filled as it is fed
  std::vector<int32_t> reserved_slots;  // for the choices to come, branch by branch of each, until
                                        // the prompt is fed
  bool started = false;                 // TokenSink::Start was called
  bool forked = false;                  // each choice has its own sequence
  int unfinished_choices = 1;
  int64_t completion_tokens = 0;
  std::optional<absl::Status> ended;  // set once; the sink hears it at the end of the turn

  int64_t prompt_size() const { return static_cast<int64_t>(request.prompt.size()); }
  int num_branches() const { return request.conditioning.num_branches(); }
  bool wants_prompt_scores() const {
    return request.logprobs && request.logprobs->prompt && !started;
  }
};

// Of one branch.
struct SequenceMemory {
  int32_t slot = 0;  // in StatePool
  PageList pages;    // stays empty without attention layers
};

// One choice in progress; until its prompt is fed, choice 0 stands for all of them. All branches
// of its conditioning are fed the same tokens in the same steps.
struct Sequence {
  ActiveRequest* request = nullptr;
  int choice = 0;
  std::vector<int32_t> tokens;  // prompt and drawn
  int64_t num_fed =
      0;  // of them, seen by the model; the last drawn one is fed only when the next is wanted
  int64_t num_drawn = 0;
  int num_untold = 0;   // of these, drawn since the last chunk
  bool paused = false;  // gave up its pages: waits for some, then is fed again from the first token
  bool finished = false;   // removed at the end of the turn
  uint64_t last_step = 0;  // when it last had rows
  absl::Time last_token;
  std::vector<SequenceMemory> branches;  // one at least
  PenaltyTable penalties;
  std::optional<TextAssembler> text;  // unset without a tokenizer

  int64_t num_tokens() const { return static_cast<int64_t>(tokens.size()); }
  int64_t remaining() const { return num_tokens() - num_fed; }
  int num_branches() const { return static_cast<int>(branches.size()); }
};

}  // namespace skein
