// One Score call: feeds the prompt, draws nothing, answers with the prompt's log-probabilities.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"

#include "skein/v1/inference.pb.h"
#include "worker/engine/model_host.h"
#include "worker/engine/token_sink.h"
#include "worker/rpc/call_info.h"

namespace skein {

// Lives until gRPC and the step loop have both let go, as GenerateReactor does.
class ScoreReactor final : public grpc::ServerUnaryReactor,
                           public TokenSink,
                           public std::enable_shared_from_this<ScoreReactor> {
 public:
  static grpc::ServerUnaryReactor* Begin(ModelHost& host, CallInfo call,
                                         const v1::ScoreRequest& request,
                                         v1::ScoreResponse& response);

  // Called by the step loop's thread.
  void Start(const StartInfo& info) override;
  void Write(OutputChunk chunk) override;
  void End(const absl::Status& status, const RequestUsage& usage) override;

  // Called by gRPC's threads.
  void OnCancel() override;
  void OnDone() override;

 private:
  ScoreReactor(const ModelHost& host, CallInfo call, v1::ScoreResponse& response)
      : call_(std::move(call)), model_name_(host.name()), response_(response) {}
  absl::Status Submit(ModelHost& host, const v1::ScoreRequest& request);
  void FinishWith(const absl::Status& status, const RequestUsage& usage);

  const CallInfo call_;
  const std::string model_name_;
  v1::ScoreResponse& response_;  // lives until OnDone; written before Finish only
  std::shared_ptr<ScoreReactor> self_;
  std::shared_ptr<ServedModel> model_;
  std::optional<uint64_t> request_;  // unset if the step loop did not take it
};

}  // namespace skein
