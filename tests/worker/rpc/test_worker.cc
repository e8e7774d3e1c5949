#include "tests/worker/rpc/test_worker.h"

#include <utility>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

#include "common/base/check.h"

namespace skein {
namespace {

ModelHost::Options HostOptions(const TestWorker::Options& options, MetricsRegistry& metrics) {
  ModelHost::Options host;
  host.model.name = "alphabet";
  host.loader.limits.max_sequences = options.max_sequences;
  host.loader.limits.max_queue = options.max_queue;
  host.loader.max_prompt_tokens = 1000;
  host.loader.max_tokens = options.max_tokens;
  host.loader.num_threads = 1;
  host.metrics = &metrics;
  return host;
}

std::unique_ptr<RegistryKeeper> MakeKeeper(const TestWorker::Options& options) {
  auto keeper = RegistryKeeper::Create({.model = "alphabet",
                                        .roots = options.roots,
                                        .manifest = "",
                                        .kept = "",
                                        .max_mix_states = 8});
  SKEIN_CHECK(keeper.ok());
  return *std::move(keeper);
}

}  // namespace

TestWorker::TestWorker(const Options& options)
    : options_(options),
      pace_(std::make_shared<PacedModel::Pace>()),
      keeper_(MakeKeeper(options)),
      host_(HostOptions(options, metrics_)) {
  RpcServer::Options serving;
  serving.listen = "127.0.0.1:0";
  serving.reflection = options.reflection;
  if (options.health_listener) serving.health_listen = "127.0.0.1:0";
  serving.models.models = *FileRoots::Create(options.model_roots, {"model_root", "--model-root"});
  serving.models.adapters = *FileRoots::Create(options.roots, {"registry.root", "--registry-root"});
  serving.models.grace = options.grace;
  absl::StatusOr<std::unique_ptr<RpcServer>> server = RpcServer::Start(host_, *keeper_, serving);
  SKEIN_CHECK(server.ok());
  server_ = *std::move(server);
  channel_ = NewChannel();
  inference_ = v1::InferenceService::NewStub(channel_);
  worker_ = v1::WorkerService::NewStub(channel_);
  registry_ = v1::RegistryService::NewStub(channel_);
  if (options.loaded) Load();
}

TestWorker::~TestWorker() {
  pace_->Open();
  server_->Stop(absl::ZeroDuration());
}

void TestWorker::Load() {
  ModelText text;
  text.tokenizer = std::make_shared<ByteTokenizer>();
  if (options_.chat) text.chat = *FindChatFormat("chatml");
  text.end_tokens = {ByteTokenizer::kEnd};
  SKEIN_CHECK(
      host_.Adopt({std::make_unique<PacedModel>(pace_), std::move(text), Device::Cpu(1)}).ok());
}

std::shared_ptr<grpc::Channel> TestWorker::NewChannel(bool small_window) const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (small_window) arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // which would let it grow
  return grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(),
                                   arguments);
}

bool TestWorker::WaitForLoad(const std::function<bool(const LoadSnapshot&)>& wanted) const {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);  // busy machines, sanitizers
  while (!wanted(host_.status().load)) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

v1::GenerateRequest GreedyRequest(const std::string& prompt, int max_tokens) {
  v1::GenerateRequest request;
  request.mutable_prompt()->set_text(prompt);
  request.mutable_sampling()->set_temperature(0);
  request.mutable_stopping()->set_max_tokens(max_tokens);
  return request;
}

std::string Collected::Text(uint32_t choice) const {
  std::string text;
  for (const v1::GenerateResponse& message : messages) {
    if (message.choice() == choice) text += message.text();
  }
  return text;
}

int Collected::num_finishes() const {
  int count = 0;
  for (const v1::GenerateResponse& message : messages) {
    if (message.finish() != v1::FINISH_REASON_UNSPECIFIED) ++count;
  }
  return count;
}

Collected Collect(v1::InferenceService::Stub& stub, const v1::GenerateRequest& request,
                  grpc::ClientContext& context) {
  Collected collected;
  const auto reader = stub.Generate(&context, request);
  v1::GenerateResponse message;
  while (reader->Read(&message)) collected.messages.push_back(message);
  collected.status = reader->Finish();
  return collected;
}

Collected Collect(v1::InferenceService::Stub& stub, const v1::GenerateRequest& request) {
  grpc::ClientContext context;
  return Collect(stub, request, context);
}

std::string Alphabet(const std::string& prompt, int tokens) {
  std::string text;
  for (int i = 0; i < tokens; ++i) {
    text.push_back(static_cast<char>('a' + (prompt.size() + i) % 26));
  }
  return text;
}

}  // namespace skein
