#include <functional>
#include <memory>
#include <utility>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "gateway/rpc/client_call.h"
#include "gateway/rpc/inference_client.h"
#include "skein/v1/inference.grpc.pb.h"

namespace skein {
namespace {

using AsyncStub = v1::InferenceService::StubInterface::async_interface;

// All that a call needs until its callback has run.
template <typename Request, typename Response>
struct UnaryCall {
  UnaryCall(const WorkerHandle& picked, Request&& request_message)
      : worker(picked), stub(worker.channel), request(std::move(request_message)) {}

  const RunningCall running;
  const WorkerHandle worker;
  v1::InferenceService::Stub stub;
  grpc::ClientContext context;
  const Request request;
  Response response;
};

template <typename Request, typename Response>
using UnaryMethod = void (AsyncStub::*)(grpc::ClientContext*, const Request*, Response*,
                                        std::function<void(grpc::Status)>);

template <typename Request, typename Response>
void StartUnary(UnaryMethod<Request, Response> method, const WorkerHandle& worker,
                Request&& request, const CallOptions& options,
                std::function<void(absl::StatusOr<Response>)> on_done) {
  auto call = std::make_shared<UnaryCall<Request, Response>>(worker, std::move(request));
  PrepareContext(options, worker, call->context);
  AsyncStub* const async = call->stub.async();
  (async->*method)(&call->context, &call->request, &call->response,
                   [call, on_done = std::move(on_done)](const grpc::Status& status) {
                     call->worker.Report(FromGrpc(status));
                     if (status.ok()) {
                       on_done(std::move(call->response));
                     } else {
                       on_done(FromGrpc(status));
                     }
                   });
}

}  // namespace

void StartTokenize(const WorkerHandle& worker, v1::TokenizeRequest request,
                   const CallOptions& options,
                   std::function<void(absl::StatusOr<v1::TokenizeResponse>)> on_done) {
  StartUnary<v1::TokenizeRequest, v1::TokenizeResponse>(
      &AsyncStub::Tokenize, worker, std::move(request), options, std::move(on_done));
}

void StartDetokenize(const WorkerHandle& worker, v1::DetokenizeRequest request,
                     const CallOptions& options,
                     std::function<void(absl::StatusOr<v1::DetokenizeResponse>)> on_done) {
  StartUnary<v1::DetokenizeRequest, v1::DetokenizeResponse>(
      &AsyncStub::Detokenize, worker, std::move(request), options, std::move(on_done));
}

}  // namespace skein
