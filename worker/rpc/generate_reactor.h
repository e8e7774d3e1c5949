// One Generate call: checks the request, submits it, and writes what the step loop gives.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

#include "skein/v1/inference.pb.h"
#include "worker/engine/model_host.h"
#include "worker/engine/token_sink.h"
#include "worker/rpc/call_info.h"
#include "worker/rpc/output_buffer.h"

namespace skein {

// Lives until gRPC and the step loop have both let go: OnDone drops the reference that it holds to
// itself.
class GenerateReactor final : public grpc::ServerWriteReactor<v1::GenerateResponse>,
                              public TokenSink,
                              public std::enable_shared_from_this<GenerateReactor> {
 public:
  static grpc::ServerWriteReactor<v1::GenerateResponse>* Begin(ModelHost& host, CallInfo call,
                                                               const v1::GenerateRequest& request);

  // Called by the step loop's thread.
  void Start(const StartInfo& info) override;
  void Write(OutputChunk chunk) override;
  void End(const absl::Status& status, const RequestUsage& usage) override;

  // Called by gRPC's threads.
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  GenerateReactor(const ModelHost& host, CallInfo call)
      : call_(std::move(call)), model_name_(host.name()) {}
  absl::Status Submit(ModelHost& host, const v1::GenerateRequest& request);
  const Tokenizer* tokenizer() const { return model_->profile.text.tokenizer.get(); }
  void FlushLocked();
  void FinishLocked();

  const CallInfo call_;
  const std::string model_name_;
  // Set before the call can be cancelled and the sink called; constant from then until OnDone.
  std::shared_ptr<GenerateReactor> self_;
  std::shared_ptr<ServedModel> model_;
  std::optional<uint64_t> request_;  // unset if the step loop did not take it
  std::string echo_;
  int num_choices_ = 1;

  std::mutex mu_;
  OutputBuffer buffer_;                 // guarded by mu_
  v1::GenerateResponse in_flight_;      // guarded by mu_, but gRPC reads it while writing_
  bool writing_ = false;                // guarded by mu_
  bool broken_ = false;                 // guarded by mu_; a write has failed: nobody reads any more
  bool ended_ = false;                  // guarded by mu_; no more output will come
  bool finished_ = false;               // guarded by mu_; gRPC was told the status
  absl::Status status_;                 // guarded by mu_; of the end
  RequestUsage usage_;                  // guarded by mu_; of the end
  std::optional<FinishReason> finish_;  // guarded by mu_; of the last choice to end
};

}  // namespace skein
