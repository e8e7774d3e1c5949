#include "gateway/grpc/services.h"

#include "gateway/grpc/methods.h"
#include "gateway/grpc/registry_change.h"
#include "gateway/grpc/stream_call.h"
#include "gateway/grpc/unary_call.h"

namespace skein {

grpc::ServerWriteReactor<grpc::ByteBuffer>* InferenceFront::Generate(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  return StreamCall::Begin(front_, kGenerate, *context, *request);
}

grpc::ServerUnaryReactor* InferenceFront::Score(grpc::CallbackServerContext* context,
                                                const grpc::ByteBuffer* request,
                                                grpc::ByteBuffer* response) {
  return UnaryCall::Begin(front_, kScore, *context, *request, *response);
}

grpc::ServerUnaryReactor* InferenceFront::Tokenize(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* request,
                                                   grpc::ByteBuffer* response) {
  return UnaryCall::Begin(front_, kTokenize, *context, *request, *response);
}

grpc::ServerUnaryReactor* InferenceFront::Detokenize(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* request,
                                                     grpc::ByteBuffer* response) {
  return UnaryCall::Begin(front_, kDetokenize, *context, *request, *response);
}

grpc::ServerUnaryReactor* RegistryFront::LoadState(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* request,
                                                   grpc::ByteBuffer* response) {
  return RegistryChange::Begin(front_, kLoadState, *context, *request, *response);
}

grpc::ServerUnaryReactor* RegistryFront::DefineMixture(grpc::CallbackServerContext* context,
                                                       const grpc::ByteBuffer* request,
                                                       grpc::ByteBuffer* response) {
  return RegistryChange::Begin(front_, kDefineMixture, *context, *request, *response);
}

grpc::ServerUnaryReactor* RegistryFront::LoadAdapter(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* request,
                                                     grpc::ByteBuffer* response) {
  return RegistryChange::Begin(front_, kLoadAdapter, *context, *request, *response);
}

grpc::ServerUnaryReactor* RegistryFront::Remove(grpc::CallbackServerContext* context,
                                                const grpc::ByteBuffer* request,
                                                grpc::ByteBuffer* response) {
  return RegistryChange::Begin(front_, kRemove, *context, *request, *response);
}

grpc::ServerUnaryReactor* RegistryFront::List(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* request,
                                              grpc::ByteBuffer* response) {
  return UnaryCall::Begin(front_, kList, *context, *request, *response);
}

}  // namespace skein
