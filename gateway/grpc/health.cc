#include "gateway/grpc/health.h"

#include <optional>
#include <utility>
#include <vector>

#include "grpc/health/v1/health.pb.h"

#include "common/base/status_macros.h"
#include "gateway/grpc/request_reactor.h"
#include "gateway/rpc/byte_messages.h"

namespace skein {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// Anybody may ask, so not much is read at a time, and not for long: the requests are tiny and come
// with their metadata.
constexpr uint64_t kMaxReading = 4;
constexpr size_t kMaxWaiting = 1024;
constexpr size_t kMaxServiceName = 1024;
constexpr UploadTimes kTimes = {.wait = absl::Seconds(1), .read = absl::Seconds(1)};

grpc::ByteBuffer Response(int status) {
  HealthCheckResponse response;
  response.set_status(static_cast<HealthCheckResponse::ServingStatus>(status));
  return ToBytes(response);
}

}  // namespace

class HealthBoard::HealthCall : public RequestReactor {
 public:
  HealthCall(HealthBoard& board, grpc::CallbackServerContext& context)
      : RequestReactor(context, {board.uploads_, board.guard_, board.clock_}, kTimes),
        board_(board) {}

 protected:
  absl::StatusOr<std::string> Enter() override {
    RETURN_IF_ERROR(board_.calls_.Enter(shared_from_this()));
    entered_ = true;
    return std::string();
  }
  void CancelWork() override { End(grpc::Status(grpc::StatusCode::CANCELLED, "")); }
  void Done(const grpc::Status&, bool) override {
    if (entered_) board_.calls_.Leave(this);
  }

  HealthBoard& board_;

 private:
  bool entered_ = false;
};

class HealthBoard::CheckCall final : public HealthCall {
 public:
  using HealthCall::HealthCall;

 private:
  absl::Status Start(grpc::ByteBuffer& request) override {
    ASSIGN_OR_RETURN(const HealthCheckRequest check, ParseBytes<HealthCheckRequest>(request));
    const int status = board_.StatusOf(check.service());
    if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
      return absl::NotFoundError("service name unknown");
    }
    grpc::ByteBuffer response = Response(status);
    EndWith(response);
    return absl::OkStatus();
  }
};

// Tells the status of now; what changes while a message is being written may be left out.
class HealthBoard::WatchCall final : public HealthCall {
 public:
  using HealthCall::HealthCall;

  // Something may have changed.
  void Look() {
    {
      const std::lock_guard<std::mutex> lock(watch_mu_);
      const int status = board_.StatusOf(service_);
      if (writing_ || written_ == status || !Hold()) return;
      writing_ = true;
      written_ = status;
      message_ = Response(status);
    }
    StartWrite(&message_);
  }

  void OnWriteDone(bool ok) override {
    const std::shared_ptr<RequestReactor> keep = shared_from_this();
    {
      const std::lock_guard<std::mutex> lock(watch_mu_);
      writing_ = false;
    }
    if (ok) Look();
    Unhold();
  }

 private:
  absl::Status Start(grpc::ByteBuffer& request) override {
    ASSIGN_OR_RETURN(const HealthCheckRequest watch, ParseBytes<HealthCheckRequest>(request));
    if (watch.service().size() > kMaxServiceName) {
      return absl::InvalidArgumentError("service: too long a name");
    }
    service_ = watch.service();
    request.Clear();
    ReleaseRequest();
    board_.Remember(std::static_pointer_cast<WatchCall>(shared_from_this()));
    Look();
    return absl::OkStatus();
  }

  void Done(const grpc::Status& status, bool client_left) override {
    board_.Forget(this);
    HealthCall::Done(status, client_left);
  }

  std::string service_;  // constant after Start
  std::mutex watch_mu_;
  // Guarded by watch_mu_.
  std::optional<int> written_;
  bool writing_ = false;
  grpc::ByteBuffer message_;  // being written
};

HealthBoard::HealthBoard(uint64_t max_request_bytes, size_t max_calls, UploadGuard& guard,
                         const Clock& clock)
    : uploads_({.total_bytes = kMaxReading * max_request_bytes,
                .request_bytes = max_request_bytes,
                .max_waiting = kMaxWaiting}),
      guard_(guard),
      clock_(clock),
      calls_(max_calls) {}

HealthBoard::~HealthBoard() = default;

void HealthBoard::Set(const std::string& service, bool serving) {
  std::vector<std::shared_ptr<WatchCall>> watches;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    const auto [entry, is_new] = serving_.try_emplace(service, serving);
    if (!is_new && entry->second == serving) return;
    entry->second = serving;
    for (const auto& [pointer, weak] : watches_) {
      if (auto watch = weak.lock()) watches.push_back(std::move(watch));
    }
  }
  for (const std::shared_ptr<WatchCall>& watch : watches) watch->Look();
}

int HealthBoard::StatusOf(const std::string& service) const {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto found = serving_.find(service);
  if (found == serving_.end()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return found->second ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void HealthBoard::Remember(const std::shared_ptr<WatchCall>& watch) {
  const std::lock_guard<std::mutex> lock(mu_);
  watches_.emplace(watch.get(), watch);
}

void HealthBoard::Forget(const WatchCall* watch) {
  const std::lock_guard<std::mutex> lock(mu_);
  watches_.erase(watch);
}

grpc::ServerGenericBidiReactor* HealthBoard::MakeReactor(
    grpc::GenericCallbackServerContext& context) {
  std::shared_ptr<RequestReactor> call;
  if (context.method() == "/grpc.health.v1.Health/Check") {
    call = std::make_shared<CheckCall>(*this, context);
  } else if (context.method() == "/grpc.health.v1.Health/Watch") {
    call = std::make_shared<WatchCall>(*this, context);
  } else {
    return nullptr;
  }
  call->Begin();
  return call.get();
}

}  // namespace skein
