#include "tools/skeinctl/grpc_client.h"

#include <variant>

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "skein/v1/inference.grpc.pb.h"

namespace skein::ctl {
namespace {

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

void AddKey(const std::string& api_key, grpc::ClientContext& context) {
  if (!api_key.empty()) context.AddMetadata("authorization", "Bearer " + api_key);
}

v1::GenerateRequest RequestOf(const GenerateCall& call) {
  v1::GenerateRequest request;
  request.set_model(call.model);
  for (const int64_t id : std::get<TokenIds>(call.prompt)) {
    request.mutable_prompt()->mutable_tokens()->add_ids(static_cast<uint32_t>(id));
  }
  if (call.temperature) {
    request.mutable_sampling()->set_temperature(static_cast<float>(*call.temperature));
  }
  if (call.seed) request.mutable_sampling()->set_seed(static_cast<uint64_t>(*call.seed));
  if (call.max_tokens) {
    request.mutable_stopping()->set_max_tokens(static_cast<uint32_t>(*call.max_tokens));
  }
  request.mutable_stopping()->set_ignore_eos(call.ignore_eos);
  return request;
}

void Add(const v1::GenerateResponse& message, Generated& answer) {
  answer.text += message.text();
  if (message.finish() == v1::FINISH_REASON_LENGTH) answer.finish_reason = "length";
  if (message.finish() == v1::FINISH_REASON_STOP) answer.finish_reason = "stop";
  if (!message.has_usage()) return;
  answer.prompt_tokens = message.usage().prompt_tokens();
  answer.completion_tokens = message.usage().completion_tokens();
}

}  // namespace

GrpcClient::GrpcClient(const std::string& address, const std::string& api_key) : api_key_(api_key) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // else clients share connections
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::StatusOr<std::vector<Token>> GrpcClient::Tokenize(const std::string& model,
                                                        const std::string& text) {
  v1::TokenizeRequest request;
  request.set_model(model);
  request.mutable_prompt()->set_text(text);
  grpc::ClientContext context;
  AddKey(api_key_, context);
  v1::TokenizeResponse response;
  const grpc::Status status =
      v1::InferenceService::NewStub(channel_)->Tokenize(&context, request, &response);
  if (!status.ok()) return ToAbsl(status);
  std::vector<Token> tokens;
  for (const v1::TokenInfo& token : response.tokens()) tokens.push_back({token.id(), token.text()});
  return tokens;
}

absl::StatusOr<Generated> GrpcClient::Generate(const GenerateCall& call) {
  grpc::ClientContext context;
  AddKey(api_key_, context);
  const auto stub = v1::InferenceService::NewStub(channel_);
  const auto reader = stub->Generate(&context, RequestOf(call));
  Generated answer;
  v1::GenerateResponse message;
  while (reader->Read(&message)) {
    Add(message, answer);
    if (call.stream && !message.text().empty() && !call.on_text(message.text())) {
      context.TryCancel();
    }
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return ToAbsl(status);
  return answer;
}

}  // namespace skein::ctl
