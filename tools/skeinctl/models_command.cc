// models: what a gateway serves, and what a worker serves, loads and unloads.
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

#include "common/base/status_macros.h"
#include "skein/v1/workers.grpc.pb.h"
#include "tools/skeinctl/api_client.h"
#include "tools/skeinctl/commands.h"

namespace skein::ctl {
namespace {

constexpr char kUsage[] =
    "models [list] [OPTIONS], models load NAME PATH [OPTIONS], or models unload [NAME] [OPTIONS]";
constexpr char kDetails[] =
    "Lists the models that a gateway serves, one name a line. With --grpc it is the model of a "
    "worker,\nwith architecture, weight format, bytes of weights and fingerprint.\n\n"
    "load and unload change the model of a worker that was started with --model-root, where PATH "
    "is\nlooked for. The model before takes no new requests, what runs may finish, and then it "
    "goes. If the\nload fails it comes back. Bytes read are shown on the standard error.";

struct ModelsOptions {
  ServerOptions server;
  std::string address;  // of a worker; empty: asks the gateway
  v1::LoadModelRequest load;
};

std::vector<Option> Table(ModelsOptions& out) {
  v1::LoadModelRequest& load = out.load;
  std::vector<Option> table = {
      ServerOptionTable(out.server)[0],
      ServerOptionTable(out.server)[1],
      TextOption("grpc", "HOST:PORT", "a worker (load, unload: default 127.0.0.1:50051)",
                 &out.address),
      TextOption("tokenizer", "PATH", "of a load: default: looked for beside the model",
                 load.mutable_tokenizer_path()),
      TextOption("chat-format", "NAME", "of a load: default: recognised",
                 load.mutable_chat_format()),
      TextOption("weight-format", "FORMAT",
                 "of a load: fp32, bf16 or fp16 (default: as in the files)",
                 load.mutable_weight_format()),
      TextOption("state-dtype", "TYPE", "of a load: fp32 or fp16 (default: as configured)",
                 load.mutable_state_dtype()),
      TextOption("adapter", "PATH", "of a load: becomes part of the weights (--registry-root)",
                 load.mutable_merged_adapter()->mutable_path()),
      NumberOption(
          "scaling", "S", "of that adapter (default: as its folder says, else 2)", -1000, 1000,
          [&load](double v) { load.mutable_merged_adapter()->set_scaling(static_cast<float>(v)); }),
      {"stop", "TEXT", "of a load: stop string for requests that give none; may come again",
       [&load](const std::string& text) {
         load.add_stop(text);
         return absl::OkStatus();
       }},
      NumberOption(
          "temperature", "T", "of a load: for requests that give none", 0, 100,
          [&load](double v) { load.mutable_defaults()->set_temperature(static_cast<float>(v)); }),
      NumberOption("top-p", "P", "of a load: for requests that give none", 0, 1, [&load](double v) {
        load.mutable_defaults()->set_top_p(static_cast<float>(v));
      })};
  return table;
}

absl::Status ToAbsl(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

std::unique_ptr<v1::WorkerService::Stub> Worker(const ModelsOptions& options) {
  return v1::WorkerService::NewStub(
      grpc::CreateChannel(options.address.empty() ? "127.0.0.1:50051" : options.address,
                          grpc::InsecureChannelCredentials()));
}

std::string InfoText(const v1::ModelInfo& model) {
  return absl::StrCat(model.name(), "\t", model.architecture(), "\t", model.weight_format(), "\t",
                      model.weight_bytes(), "\t", model.fingerprint());
}

absl::Status ListOfGateway(const ModelsOptions& options, Terminal& terminal) {
  ASSIGN_OR_RETURN(Url url, UrlOf(options.server));
  ApiClient client(std::move(url));
  ASSIGN_OR_RETURN(const std::vector<ApiClient::Model> models, client.Models());
  for (const ApiClient::Model& model : models) terminal.out << model.name << "\n";
  return absl::OkStatus();
}

absl::Status ListOfWorker(const ModelsOptions& options, Terminal& terminal) {
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  RETURN_IF_ERROR(ToAbsl(Worker(options)->ListModels(&context, {}, &response)));
  for (const v1::ModelInfo& model : response.models()) terminal.out << InfoText(model) << "\n";
  return absl::OkStatus();
}

void ShowProgress(const v1::LoadProgress& progress, Terminal& terminal) {
  if (progress.bytes_total() == 0 || progress.has_ready()) return;
  terminal.err << absl::StrFormat("%d of %d MB\n", progress.bytes_done() / 1'000'000,
                                  progress.bytes_total() / 1'000'000);
  terminal.err.flush();
}

absl::Status Load(ModelsOptions& options, const std::string& name, const std::string& path,
                  Terminal& terminal) {
  if (options.load.merged_adapter().path().empty()) options.load.clear_merged_adapter();
  options.load.set_name(name);
  options.load.set_path(path);
  const std::unique_ptr<v1::WorkerService::Stub> worker = Worker(options);
  grpc::ClientContext context;
  const auto reader = worker->LoadModel(&context, options.load);
  v1::LoadProgress progress;
  while (reader->Read(&progress)) ShowProgress(progress, terminal);
  RETURN_IF_ERROR(ToAbsl(reader->Finish()));
  terminal.out << InfoText(progress.ready()) << "\n";
  return absl::OkStatus();
}

absl::Status Unload(const ModelsOptions& options, const std::string& name) {
  grpc::ClientContext context;
  v1::UnloadModelRequest request;
  request.set_name(name);
  v1::UnloadModelResponse response;
  return ToAbsl(Worker(options)->UnloadModel(&context, request, &response));
}

}  // namespace

absl::Status RunModels(const std::vector<std::string>& args, Terminal& terminal) {
  ModelsOptions options;
  const std::vector<Option> table = Table(options);
  ASSIGN_OR_RETURN(const ParsedArgs parsed, ParseArgs(args, table));
  if (parsed.help) {
    terminal.out << HelpText(kUsage, kDetails, table);
    return absl::OkStatus();
  }
  const std::vector<std::string>& words = parsed.positional;
  if (words.empty() || (words.size() == 1 && words[0] == "list")) {
    if (!options.address.empty()) return ListOfWorker(options, terminal);
    return Explain(ListOfGateway(options, terminal), options.server.url);
  }
  if (words.size() == 3 && words[0] == "load") return Load(options, words[1], words[2], terminal);
  if (words[0] == "unload" && words.size() <= 2) {
    return Unload(options, words.size() == 2 ? words[1] : "");
  }
  return absl::InvalidArgumentError(absl::StrCat("expected ", kUsage));
}

}  // namespace skein::ctl
