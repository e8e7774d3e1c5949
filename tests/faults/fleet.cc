#include "tests/faults/fleet.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "common/base/status_macros.h"
#include "tests/faults/footprint.h"

namespace skein {

absl::StatusOr<std::unique_ptr<WorkerServer>> StartScripted(const std::string& listen,
                                                            const std::vector<std::string>& flags) {
  std::vector<std::string> all = {"--step-ms", absl::StrCat(kStepMs), "--max-sequences", "256"};
  all.insert(all.end(), flags.begin(), flags.end());
  return WorkerServer::Start({.listen = listen, .scripted = true, .flags = all});
}

absl::Status WaitForWorkers(const GatewayServer& gateway, int count, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  double ready = -1;
  while (absl::Now() < deadline) {
    ready = GatewayMetric(gateway.port(), "skein_gateway_ready_workers").value_or(-1);
    if (ready == count) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::DeadlineExceededError(absl::StrCat(ready, " workers are ready, expected ", count));
}

absl::Status ServesRight(const GatewayServer& gateway, int requests) {
  constexpr int kTokens = 3;
  for (int i = 0; i < requests; ++i) {
    const int prompt_chars = 1 + i % 20;
    ASSIGN_OR_RETURN(const std::string text, AskOnce(gateway.port(), prompt_chars, kTokens));
    if (text != ScriptedAnswer(prompt_chars, kTokens)) {
      return absl::InternalError(absl::StrCat("request ", i, " was answered \"", text, "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace skein
