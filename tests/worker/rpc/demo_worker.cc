#include "tests/worker/rpc/demo_worker.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "boost/json.hpp"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

#include "common/base/check.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

constexpr double kSureMargin = 0.25;

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace

DemoWorker::DemoWorker() {
  const std::string folder = SourcePath("deploy/demo-model");
  keeper_ =
      *RegistryKeeper::Create({.model = "demo", .roots = {folder}, .manifest = "", .kept = ""});
  ModelHost::Options options;
  options.model.name = "demo";
  options.model.path = folder;
  host_ = std::make_unique<ModelHost>(std::move(options));
  server_ = *RpcServer::Start(*host_, *keeper_, {"127.0.0.1:0", false});
  host_->StartLoading();
  while (host_->status().state == ModelState::kLoading) absl::SleepFor(absl::Milliseconds(5));
  SKEIN_CHECK(host_->status().state == ModelState::kReady);
  const auto channel = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
  inference_ = v1::InferenceService::NewStub(channel);
  registry_ = v1::RegistryService::NewStub(channel);
  worker_ = v1::WorkerService::NewStub(channel);
}

DemoWorker::~DemoWorker() { server_->Stop(absl::ZeroDuration()); }

absl::StatusOr<v1::Entry> DemoWorker::LoadState(const std::string& name, const std::string& path) {
  v1::LoadStateRequest request;
  request.set_name(name);
  request.set_path(path);
  grpc::ClientContext context;
  v1::Entry entry;
  const grpc::Status status = registry_->LoadState(&context, request, &entry);
  if (!status.ok()) return ToAbsl(status);
  return entry;
}

absl::StatusOr<v1::Entry> DemoWorker::LoadAdapter(const std::string& name,
                                                  const std::string& path) {
  v1::LoadAdapterRequest request;
  request.set_name(name);
  request.set_path(path);
  return LoadAdapter(request);
}

absl::StatusOr<v1::Entry> DemoWorker::LoadAdapter(const v1::LoadAdapterRequest& request) {
  grpc::ClientContext context;
  v1::Entry entry;
  const grpc::Status status = registry_->LoadAdapter(&context, request, &entry);
  if (!status.ok()) return ToAbsl(status);
  return entry;
}

absl::StatusOr<v1::Entry> DemoWorker::DefineMixture(const v1::DefineMixtureRequest& request) {
  grpc::ClientContext context;
  v1::Entry entry;
  const grpc::Status status = registry_->DefineMixture(&context, request, &entry);
  if (!status.ok()) return ToAbsl(status);
  return entry;
}

absl::Status DemoWorker::Remove(const std::string& name) {
  v1::RemoveRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  v1::RemoveResponse response;
  return ToAbsl(registry_->Remove(&context, request, &response));
}

v1::ListResponse DemoWorker::List() {
  grpc::ClientContext context;
  v1::ListResponse response;
  SKEIN_CHECK(registry_->List(&context, {}, &response).ok());
  return response;
}

std::vector<DemoPrompt> DemoPrompts(const std::string& name) {
  std::vector<DemoPrompt> prompts;
  const std::string file =
      ReadFileOrDie(SourcePath(absl::StrCat("tests/e2e/data/tuned/", name, ".jsonl")));
  for (const absl::string_view line : absl::StrSplit(file, '\n', absl::SkipEmpty())) {
    const boost::json::value row = boost::json::parse({line.data(), line.size()});
    if (!row.at("base_ok").as_bool() || row.at("margin").to_number<double>() <= kSureMargin) {
      continue;
    }
    DemoPrompt prompt;
    for (const boost::json::value& message : row.at("messages").as_array()) {
      v1::ChatTurn* turn = prompt.request.mutable_prompt()->mutable_chat()->add_turns();
      turn->set_role(message.at("role").as_string().c_str());
      turn->set_content(message.at("content").as_string().c_str());
    }
    prompt.request.mutable_sampling()->set_temperature(0);
    prompt.request.mutable_stopping()->set_max_tokens(192);
    prompt.expected = row.at("expected").as_string().c_str();
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace skein
