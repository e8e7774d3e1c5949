#include "gateway/access/access_control.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/log.h"
#include "common/base/retry_after.h"
#include "common/base/status_macros.h"
#include "common/config/text_proto.h"

namespace skein {
namespace {

constexpr absl::string_view kBearer = "Bearer ";

// Empty if there is none.
absl::string_view KeyTextOf(absl::string_view authorization) {
  if (!absl::StartsWithIgnoreCase(authorization, kBearer)) return "";
  return absl::StripAsciiWhitespace(authorization.substr(kBearer.size()));
}

const char* RoleName(Role role) {
  switch (role) {
    case Role::kOpen:
      return "open";
    case Role::kInference:
      return "inference";
    case Role::kMetrics:
      return "metrics";
    case Role::kAdmin:
      return "admin";
  }
  return "";
}

struct Refusal {
  const char* reason;
  absl::Status status;
};

Refusal RefusalOf(const KeyLimits::Decision& decision, uint64_t tokens) {
  const std::string wait =
      absl::FormatDuration(absl::Ceil(decision.retry_after, absl::Milliseconds(1)));
  std::string message;
  const char* reason = "parallel";
  switch (decision.outcome) {
    case KeyLimits::Outcome::kParallel:
      message = absl::StrCat("Rate limit reached: this key may have ", decision.rules.max_parallel,
                             " requests at a time. Try again when one has ended.");
      break;
    case KeyLimits::Outcome::kRequests:
      reason = "requests_per_minute";
      message =
          absl::StrCat("Rate limit reached: this key may make ", decision.rules.requests_per_minute,
                       " requests a minute. Try again in ", wait, ".");
      break;
    default:
      reason = "tokens_per_minute";
      message =
          absl::StrCat("Rate limit reached: this key may use ", decision.rules.tokens_per_minute,
                       " tokens a minute, and this request asks for ", tokens, ". ");
      absl::StrAppend(&message, decision.retry_after == absl::InfiniteDuration()
                                    ? "Make the prompt or max_tokens smaller."
                                    : absl::StrCat("Try again in ", wait, "."));
  }
  return {reason, WithRetryAfter(absl::ResourceExhaustedError(message), decision.retry_after)};
}

}  // namespace

// Thread-safe.
class Admission::Charge {
 public:
  Charge(std::shared_ptr<KeyLimits> limits, int64_t reserved, const Clock& clock)
      : limits_(std::move(limits)), reserved_(reserved), clock_(clock) {}

  ~Charge() { limits_->Finish(std::max<int64_t>(0, reserved_ - used_), clock_.Steady()); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  void Use(int64_t tokens) {
    int64_t more = 0;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      const int64_t charged = std::max(reserved_, used_);
      used_ += tokens;
      more = std::max<int64_t>(0, used_ - charged);
    }
    if (more > 0) limits_->TakeMore(more, clock_.Steady());
  }

 private:
  const std::shared_ptr<KeyLimits> limits_;
  const int64_t reserved_;
  const Clock& clock_;
  std::mutex mu_;
  int64_t used_ = 0;  // guarded by mu_
};

Admission::Admission() = default;
Admission::Admission(Admission&&) noexcept = default;
Admission& Admission::operator=(Admission&&) noexcept = default;
Admission::~Admission() = default;

void Admission::Use(uint64_t tokens) const {
  if (charge_ != nullptr) charge_->Use(static_cast<int64_t>(tokens));
}

const std::string& Caller::name() const {
  static const std::string kNone;
  return key_ == nullptr ? kNone : key_->name;
}

AccessControl::AccessControl(const Clock& clock, GatewayMetrics& metrics)
    : clock_(clock), metrics_(metrics) {}

absl::StatusOr<std::unique_ptr<AccessControl>> AccessControl::Create(const std::string& keys_file,
                                                                     const Clock& clock,
                                                                     GatewayMetrics& metrics,
                                                                     absl::Duration poll) {
  auto access = std::make_unique<AccessControl>(clock, metrics);
  const std::vector<std::string> paths = {keys_file};
  std::string stamps = StampFiles(paths);
  RETURN_IF_ERROR(access->ReadFile(keys_file));
  metrics.SetStaleFile("keys", false);
  access->watcher_ = std::make_unique<FileWatcher>(
      paths, std::move(stamps), poll, [self = access.get(), keys_file] {
        const absl::Status status = self->ReadFile(keys_file);
        self->metrics_.SetStaleFile("keys", !status.ok());
        if (status.ok()) return;
        LogError("keys file refused, the keys stay as they were",
                 {{"error", std::string(status.message())}});
      });
  return access;
}

absl::StatusOr<Caller> AccessControl::Identify(absl::string_view authorization, Role role) const {
  if (role == Role::kOpen) return Caller();
  std::shared_ptr<const KeyTable> keys;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    keys = keys_;
  }
  if (keys == nullptr) return Caller();
  const absl::string_view text = KeyTextOf(authorization);
  if (text.empty()) {
    return Refuse("no_key", absl::UnauthenticatedError(
                                "No API key was given. Send it in the header Authorization, as "
                                "\"Bearer KEY\"."));
  }
  const std::shared_ptr<const Key> key = keys->Find(text);
  // The same words for both: who tries keys must not learn which there are or were.
  if (key == nullptr || clock_.Now() >= key->expires) {
    return Refuse(key == nullptr ? "wrong_key" : "expired_key",
                  absl::UnauthenticatedError("The API key is not valid."));
  }
  if (!key->Has(role)) {
    return Refuse("role", absl::PermissionDeniedError(absl::StrCat("This API key lacks the role \"",
                                                                   RoleName(role), "\".")));
  }
  return Caller(key);
}

absl::StatusOr<Admission> AccessControl::Admit(const Caller& caller, absl::string_view model,
                                               const std::vector<std::string>& adapters,
                                               uint64_t tokens) const {
  Admission admission;
  if (caller.key_ == nullptr) return admission;
  const Key& key = *caller.key_;
  if (!key.MayUseModel(model)) {
    return Refuse("model", absl::PermissionDeniedError(
                               absl::StrCat("model: this API key may not use \"", model, "\"")));
  }
  for (const std::string& adapter : adapters) {
    if (key.MayUseAdapter(adapter)) continue;
    return Refuse("adapter", absl::PermissionDeniedError(absl::StrCat(
                                 "adapter: this API key may not use \"", adapter, "\"")));
  }
  const auto reserved =
      static_cast<int64_t>(std::min<uint64_t>(tokens, 2 * TokenBucket::kMaxLimit));
  const KeyLimits::Decision decision = key.limits->Admit(reserved, clock_.Steady());
  if (decision.outcome != KeyLimits::Outcome::kAdmitted) {
    Refusal refusal = RefusalOf(decision, tokens);
    return Refuse(refusal.reason, std::move(refusal.status));
  }
  admission.charge_ = std::make_unique<Admission::Charge>(key.limits, reserved, clock_);
  return admission;
}

bool AccessControl::MayUseAdapter(const Caller& caller, absl::string_view adapter) const {
  return caller.key_ == nullptr || caller.key_->MayUseAdapter(adapter);
}

bool AccessControl::MayUseModel(const Caller& caller, absl::string_view model) const {
  return caller.key_ == nullptr || caller.key_->MayUseModel(model);
}

HeaderList AccessControl::RateLimitHeaders(const Caller& caller) const {
  if (caller.key_ == nullptr) return {};
  return caller.key_->limits->RateLimitHeaders(clock_.Steady());
}

absl::Status AccessControl::SetKeys(const config::v1::KeysFile& keys) {
  std::shared_ptr<const KeyTable> before;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    before = keys_;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const KeyTable> table, KeyTable::Create(keys, before.get()));
  metrics_.api_keys.Set(static_cast<double>(table->size()));
  const std::lock_guard<std::mutex> lock(mu_);
  keys_ = std::move(table);
  return absl::OkStatus();
}

absl::Status AccessControl::ReadFile(const std::string& path) {
  ASSIGN_OR_RETURN(const config::v1::KeysFile file,
                   ReadTextProto<config::v1::KeysFile>(path, TextErrors::kPlaceOnly));
  const std::string contents = file.SerializeAsString();
  if (contents == contents_) return absl::OkStatus();
  const absl::Status status = SetKeys(file);
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  contents_ = contents;
  LogInfo("keys read", {{"file", path}, {"keys", absl::StrCat(file.key_size())}});
  return status;
}

absl::Status AccessControl::Refuse(const char* reason, absl::Status status) const {
  metrics_.CountRefusal(reason);
  return status;
}

}  // namespace skein
