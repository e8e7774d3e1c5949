#include "tests/testing/collecting_sink.h"

#include <utility>

namespace skein {

std::vector<int32_t> CollectingSink::Choice::ids() const {
  std::vector<int32_t> ids;
  for (const TokenOutput& token : tokens) ids.push_back(token.token);
  return ids;
}

void CollectingSink::Start(const StartInfo& info) {
  const std::lock_guard<std::mutex> lock(mu_);
  Check(!start_, "Start twice");
  Check(choices_.empty() && !status_, "Start late");
  start_ = info;
  changed_.notify_all();
}

void CollectingSink::Write(OutputChunk chunk) {
  const std::lock_guard<std::mutex> lock(mu_);
  Check(start_.has_value(), "Write before Start");
  Check(!status_, "Write after End");
  Choice& choice = choices_[chunk.choice];
  Check(!choice.finish, "Write after a choice's finish");
  Check(chunk.finish || !chunk.text.empty() || !chunk.tokens.empty(), "Write of nothing");
  choice.text += chunk.text;
  for (TokenOutput& token : chunk.tokens) {
    choice.tokens.push_back(std::move(token));
    choice.text_after.push_back(choice.text.size());
  }
  choice.finish = chunk.finish;
  choice.matched_stop = chunk.matched_stop;
  changed_.notify_all();
}

void CollectingSink::End(const absl::Status& status, const RequestUsage& usage) {
  const std::lock_guard<std::mutex> lock(mu_);
  Check(!status_, "End twice");
  if (status.ok()) {
    for (const auto& [index, choice] : choices_) {
      Check(choice.finish.has_value(), "End without a choice's finish");
    }
  }
  status_ = status;
  usage_ = usage;
  changed_.notify_all();
}

bool CollectingSink::WaitEnd(absl::Duration timeout) const {
  std::unique_lock<std::mutex> lock(mu_);
  return changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                           [this] { return status_.has_value(); });
}

bool CollectingSink::WaitTokens(size_t count, absl::Duration timeout) const {
  std::unique_lock<std::mutex> lock(mu_);
  return changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [this, count] {
    const auto it = choices_.find(0);
    return status_.has_value() || (it != choices_.end() && it->second.tokens.size() >= count);
  });
}

std::optional<StartInfo> CollectingSink::start() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return start_;
}

CollectingSink::Choice CollectingSink::choice(int index) const {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto it = choices_.find(index);
  return it == choices_.end() ? Choice() : it->second;
}

size_t CollectingSink::num_choices() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return choices_.size();
}

absl::Status CollectingSink::status() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return status_.value_or(absl::UnknownError("not ended"));
}

RequestUsage CollectingSink::usage() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return usage_;
}

std::string CollectingSink::misuse() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return misuse_;
}

void CollectingSink::Check(bool condition, const char* what) {
  if (!condition && misuse_.empty()) misuse_ = what;
}

}  // namespace skein
