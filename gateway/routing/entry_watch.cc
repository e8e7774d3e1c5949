#include "gateway/routing/entry_watch.h"

#include <utility>
#include <variant>

#include "absl/time/clock.h"
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "common/base/log.h"

namespace skein {
namespace {

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace

// All that a call needs until its callback has run.
struct EntryWatch::OpenCall {
  grpc::ClientContext context;
  v1::ListRequest list;
  EntryChange change;
  v1::ListResponse listed;
  v1::Entry entry;
  v1::RemoveResponse removed;
};

EntryWatch::EntryWatch(uint64_t worker, std::string address, std::shared_ptr<grpc::Channel> channel,
                       EntryTable& table, EntryWatchOptions options, std::function<void()> wake)
    : worker_(worker),
      address_(std::move(address)),
      table_(table),
      options_(options),
      wake_(std::move(wake)),
      channel_(std::move(channel)),
      stub_(v1::RegistryService::NewStub(channel_)) {}

void EntryWatch::Poll(absl::Time now) {
  bool may_list = false;
  bool may_change = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (stopping_) return;
    may_list = list_ == nullptr;
    may_change = change_ == nullptr;
  }
  const std::string model = may_list ? table_.ListDue(worker_, now) : "";
  if (!model.empty()) Ask(model);
  if (!may_change) return;
  const std::optional<EntryChange> change = table_.NextChange(worker_, now);
  if (change.has_value()) Change(*change);
}

// gRPC may run callbacks within the call that starts or cancels something, so none of these is made
// under the lock.
void EntryWatch::Ask(const std::string& model) {
  const auto call = std::make_shared<OpenCall>();
  if (!Enter(list_, call)) return;
  table_.BeginList(worker_, model);
  call->list.set_model(model);
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + options_.list_timeout));
  stub_->async()->List(&call->context, &call->list, &call->listed,
                       [this, model, kept = call](const grpc::Status& status) mutable {
                         if (status.ok()) {
                           table_.SetList(worker_, model, kept->listed);
                         } else {
                           OnNoList(model, ToAbsl(status));
                         }
                         kept.reset();
                         Leave(list_);
                       });
}

void EntryWatch::OnNoList(const std::string& model, const absl::Status& why) {
  table_.SetNoList(worker_, model, why, options_.clock->Steady());
  const bool expected =
      absl::IsUnimplemented(why) || absl::IsUnavailable(why) || absl::IsCancelled(why);
  if (expected) return;
  LogWarning("worker does not list what is registered",
             {{"worker", address_}, {"model", model}, {"reason", why.ToString()}});
}

void EntryWatch::Change(const EntryChange& change) {
  const auto call = std::make_shared<OpenCall>();
  if (!Enter(change_, call)) return;
  call->change = change;
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + options_.change_timeout));
  const auto on_done = [this, kept = call](const grpc::Status& status) mutable {
    OnChanged(kept->change, ToAbsl(status));
    kept.reset();
    Leave(change_);
  };
  auto* const async = stub_->async();
  if (const auto* state = std::get_if<v1::LoadStateRequest>(&call->change)) {
    async->LoadState(&call->context, state, &call->entry, on_done);
  } else if (const auto* mix = std::get_if<v1::DefineMixtureRequest>(&call->change)) {
    async->DefineMixture(&call->context, mix, &call->entry, on_done);
  } else if (const auto* adapter = std::get_if<v1::LoadAdapterRequest>(&call->change)) {
    async->LoadAdapter(&call->context, adapter, &call->entry, on_done);
  } else {
    async->Remove(&call->context, &std::get<v1::RemoveRequest>(call->change), &call->removed,
                  on_done);
  }
}

void EntryWatch::OnChanged(const EntryChange& change, const absl::Status& outcome) {
  table_.SetChanged(worker_, change, outcome, options_.clock->Steady());
  Tell(change, outcome);
  if (options_.metrics == nullptr) return;
  options_.metrics->CountRegistryCatchUp(outcome);
}

void EntryWatch::Tell(const EntryChange& change, const absl::Status& outcome) const {
  const auto [model, name] = SubjectOf(change);
  LogFields fields = {{"worker", address_}, {"model", model}, {"name", name}};
  if (!outcome.ok()) fields.push_back({"reason", std::string(outcome.message())});
  const bool removal = std::holds_alternative<v1::RemoveRequest>(change);
  if (outcome.ok() && removal) {
    LogInfo("worker forgot an entry that was removed", fields);
  } else if (outcome.ok()) {
    LogInfo("worker got an entry of its peers", fields);
  } else if (removal) {
    LogError("worker keeps an entry that was removed", fields);
  } else {
    LogError("worker lacks an entry", fields);
  }
}

bool EntryWatch::Enter(std::shared_ptr<OpenCall>& slot, const std::shared_ptr<OpenCall>& call) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (stopping_ || slot != nullptr) return false;
  slot = call;
  ++num_calls_;
  return true;
}

// The last thing that a call does: nothing of it is left on gRPC's thread.
void EntryWatch::Leave(std::shared_ptr<OpenCall>& slot) {
  std::shared_ptr<OpenCall> last;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    last = std::move(slot);
  }
  last.reset();
  const std::lock_guard<std::mutex> lock(mu_);
  --num_calls_;
  wake_();
  call_gone_.notify_all();
}

void EntryWatch::Stop() {
  std::shared_ptr<OpenCall> list, change;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    stopping_ = true;
    list = list_;
    change = change_;
  }
  for (const auto& call : {list, change}) {
    if (call != nullptr) call->context.TryCancel();
  }
  list.reset();
  change.reset();
  std::unique_lock<std::mutex> lock(mu_);
  call_gone_.wait(lock, [this] { return num_calls_ == 0; });
}

}  // namespace skein
