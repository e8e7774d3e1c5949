#include "gateway/grpc/front_service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "gateway/grpc/methods.h"
#include "gateway/grpc/registry_change.h"
#include "gateway/grpc/stream_call.h"
#include "gateway/grpc/unary_call.h"

namespace skein {
namespace {

class UnknownMethod final : public grpc::ServerGenericBidiReactor {
 public:
  explicit UnknownMethod(const std::string& method) {
    Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED,
                        absl::StrCat(method, ": no method of this server")));
  }
  void OnDone() override { delete this; }
};

template <typename Call>
grpc::ServerGenericBidiReactor* Run(Front& front, const RpcMethod& method,
                                    grpc::CallbackServerContext& context) {
  const auto call = std::make_shared<Call>(front, method, context);
  call->Begin();
  return call.get();
}

using Runner = grpc::ServerGenericBidiReactor* (*)(Front&, const RpcMethod&,
                                                   grpc::CallbackServerContext&);
constexpr std::pair<const RpcMethod*, Runner> kRunners[] = {
    {&kGenerate, Run<StreamCall>},
    {&kScore, Run<UnaryCall>},
    {&kTokenize, Run<UnaryCall>},
    {&kDetokenize, Run<UnaryCall>},
    {&kLoadState, Run<RegistryChange>},
    {&kDefineMixture, Run<RegistryChange>},
    {&kLoadAdapter, Run<RegistryChange>},
    {&kRemove, Run<RegistryChange>},
    {&kList, Run<UnaryCall>},
};

}  // namespace

grpc::ServerGenericBidiReactor* FrontService::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  for (const auto& [method, run] : kRunners) {
    if (context->method() == method->path) return run(front_, *method, *context);
  }
  if (auto* health = health_.MakeReactor(*context)) return health;
  return new UnknownMethod(context->method());
}

}  // namespace skein
