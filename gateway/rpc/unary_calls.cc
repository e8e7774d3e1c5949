#include <memory>
#include <utility>

#include "common/base/status_macros.h"
#include "gateway/rpc/byte_call.h"
#include "gateway/rpc/byte_messages.h"
#include "gateway/rpc/client_call.h"
#include "gateway/rpc/inference_client.h"
#include "gateway/rpc/retrying_call.h"

namespace skein {
namespace {

// One message for bytes. The call's callbacks keep this object until the end.
template <typename Response>
class UnaryReader : public std::enable_shared_from_this<UnaryReader<Response>> {
 public:
  using OnDone = std::function<void(absl::StatusOr<Response>)>;

  explicit UnaryReader(OnDone on_done) : on_done_(std::move(on_done)) {}

  ByteCallbacks Callbacks() {
    ByteCallbacks callbacks;
    callbacks.on_message = [self = this->shared_from_this()](grpc::ByteBuffer& message) {
      self->answer_.Swap(&message);
      self->call_->ReadNext();  // brings the end
    };
    callbacks.on_done = [self = this->shared_from_this()](const grpc::Status& status) {
      self->End(FromGrpc(status));
    };
    return callbacks;
  }

  void Start(std::shared_ptr<ByteCall> call) {
    call_ = std::move(call);
    call_->Start();
  }

 private:
  void End(const absl::Status& status) {
    const OnDone on_done = std::exchange(on_done_, {});
    if (!status.ok()) return on_done(status);
    if (!answer_.Valid()) return on_done(absl::InternalError("the worker sent no answer"));
    absl::StatusOr<Response> response = ParseBytes<Response>(answer_);
    if (!response.ok()) {
      return on_done(absl::InternalError("the worker sent what is not an answer"));
    }
    on_done(std::move(response));
  }

  std::shared_ptr<ByteCall> call_;  // constant from the start on
  // Used by one gRPC callback at a time.
  OnDone on_done_;
  grpc::ByteBuffer answer_;
};

template <typename Request, typename Response>
absl::Status StartUnary(WorkerPool& workers, const char* method, const Request& request,
                        const CallOptions& options,
                        std::function<void(absl::StatusOr<Response>)> on_done) {
  PickRequest pick;
  pick.model = request.model();
  pick.sequences = 0;
  auto reader = std::make_shared<UnaryReader<Response>>(std::move(on_done));
  ASSIGN_OR_RETURN(std::shared_ptr<ByteCall> call,
                   MakeRetryingCall(workers, std::move(pick), {method, ToBytes(request)}, options,
                                    reader->Callbacks()));
  reader->Start(std::move(call));
  return absl::OkStatus();
}

}  // namespace

absl::Status StartTokenize(WorkerPool& workers, const v1::TokenizeRequest& request,
                           const CallOptions& options,
                           std::function<void(absl::StatusOr<v1::TokenizeResponse>)> on_done) {
  return StartUnary(workers, "/skein.v1.InferenceService/Tokenize", request, options,
                    std::move(on_done));
}

absl::Status StartDetokenize(WorkerPool& workers, const v1::DetokenizeRequest& request,
                             const CallOptions& options,
                             std::function<void(absl::StatusOr<v1::DetokenizeResponse>)> on_done) {
  return StartUnary(workers, "/skein.v1.InferenceService/Detokenize", request, options,
                    std::move(on_done));
}

}  // namespace skein
