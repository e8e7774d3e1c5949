#include "gateway/grpc/methods.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "gateway/access/token_estimate.h"
#include "gateway/routing/affinity.h"
#include "gateway/rpc/byte_messages.h"
#include "skein/v1/inference.pb.h"
#include "skein/v1/registry.pb.h"

namespace skein {
namespace {

absl::StatusOr<RequestFacts> ReadGenerate(const grpc::ByteBuffer& bytes) {
  ASSIGN_OR_RETURN(const v1::GenerateRequest request, ParseBytes<v1::GenerateRequest>(bytes));
  RequestFacts facts;
  facts.pick = PickRequestFor(request, "");
  facts.tokens = EstimateTokens(request);
  facts.prompt_tokens = EstimateTokens(request.prompt());
  facts.choices = std::max(1u, request.n());
  return facts;
}

absl::StatusOr<RequestFacts> ReadScore(const grpc::ByteBuffer& bytes) {
  ASSIGN_OR_RETURN(const v1::ScoreRequest request, ParseBytes<v1::ScoreRequest>(bytes));
  RequestFacts facts;
  facts.pick.model = request.model();
  facts.pick.entries = EntriesOf(request.conditioning());
  facts.prompt_tokens = EstimateTokens(request.prompt());
  facts.tokens = facts.prompt_tokens;
  return facts;
}

uint64_t TokensOfScore(const grpc::ByteBuffer& bytes) {
  const absl::StatusOr<v1::ScoreResponse> response = ParseBytes<v1::ScoreResponse>(bytes);
  return response.ok() ? response->tokens_size() : 0;
}

template <typename Request>
absl::StatusOr<RequestFacts> ReadModel(const grpc::ByteBuffer& bytes) {
  ASSIGN_OR_RETURN(const Request request, ParseBytes<Request>(bytes));
  RequestFacts facts;
  facts.pick.model = request.model();
  facts.pick.sequences = 0;
  return facts;
}

// A change of the entry `name`: keys with a list of adapters change what is on it.
template <typename Request>
absl::StatusOr<RequestFacts> ReadChange(const grpc::ByteBuffer& bytes) {
  ASSIGN_OR_RETURN(const Request request, ParseBytes<Request>(bytes));
  RequestFacts facts;
  facts.pick.model = request.model();
  facts.pick.sequences = 0;
  facts.pick.entries = {request.name()};
  return facts;
}

// Of what a mixture is made, too: who may not use a state must not give it another name.
absl::StatusOr<RequestFacts> ReadMixture(const grpc::ByteBuffer& bytes) {
  ASSIGN_OR_RETURN(RequestFacts facts, ReadChange<v1::DefineMixtureRequest>(bytes));
  ASSIGN_OR_RETURN(const auto request, ParseBytes<v1::DefineMixtureRequest>(bytes));
  for (const v1::StateWeight& state : request.mix().states()) {
    if (!state.name().empty()) facts.pick.entries.push_back(state.name());
  }
  return facts;
}

}  // namespace

const RpcMethod kGenerate{"/skein.v1.InferenceService/Generate", Role::kInference, ReadGenerate};
const RpcMethod kScore{"/skein.v1.InferenceService/Score", Role::kInference, ReadScore,
                       TokensOfScore};
const RpcMethod kTokenize{"/skein.v1.InferenceService/Tokenize", Role::kInference,
                          ReadModel<v1::TokenizeRequest>};
const RpcMethod kDetokenize{"/skein.v1.InferenceService/Detokenize", Role::kInference,
                            ReadModel<v1::DetokenizeRequest>};

const RpcMethod kLoadState{"/skein.v1.RegistryService/LoadState", Role::kAdmin,
                           ReadChange<v1::LoadStateRequest>};
const RpcMethod kDefineMixture{"/skein.v1.RegistryService/DefineMixture", Role::kAdmin,
                               ReadMixture};
const RpcMethod kLoadAdapter{"/skein.v1.RegistryService/LoadAdapter", Role::kAdmin,
                             ReadChange<v1::LoadAdapterRequest>};
const RpcMethod kRemove{"/skein.v1.RegistryService/Remove", Role::kAdmin,
                        ReadChange<v1::RemoveRequest>};
// Clients see by it what they may ask for.
const RpcMethod kList{"/skein.v1.RegistryService/List", Role::kInference,
                      ReadModel<v1::ListRequest>};

void ExpectCalls(GatewayMetrics& metrics) {
  for (const RpcMethod* method : {&kGenerate, &kScore, &kTokenize, &kDetokenize, &kLoadState,
                                  &kDefineMixture, &kLoadAdapter, &kRemove, &kList}) {
    metrics.ExpectRequests(method->path,
                           {200, 400, 401, 403, 404, 409, 422, 429, 499, 500, 501, 503, 504});
  }
}

}  // namespace skein
