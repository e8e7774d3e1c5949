// states, mixtures, adapters: what a worker's registry holds, listed and changed over gRPC.
#include <cstdlib>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

#include "common/base/status_macros.h"
#include "skein/v1/registry.grpc.pb.h"
#include "tools/skeinctl/commands.h"

namespace skein::ctl {
namespace {

constexpr char kStatesUsage[] =
    "states [list], states load NAME PATH [OPTIONS], or states remove NAME";
constexpr char kStatesDetails[] =
    "Tuned states that requests may start from. PATH is of a file in a directory that the worker\n"
    "allows (--registry-root), on its machine. A name that is there already is replaced; requests\n"
    "that run keep what they started with. Each line of the list has the name, the content's "
    "hash,\n"
    "the bytes on the device and the path.";
constexpr char kMixturesUsage[] =
    "mixtures [list], mixtures define NAME STATE:WEIGHT... [OPTIONS], or mixtures remove NAME";
constexpr char kMixturesDetails[] =
    "Mixtures of tuned states by weight. A weight without a name before its colon is that of the "
    "model\n"
    "as it is, which lists show as \"\". Defining a mixture again changes its weights for new "
    "requests:\n\n"
    "  skeinctl mixtures define blend pirate:0.7 :0.3";

constexpr char kAdaptersUsage[] =
    "adapters [list], adapters load NAME PATH [OPTIONS], or adapters remove NAME";
constexpr char kAdaptersDetails[] =
    "Adapters that requests may choose. PATH is of a file or folder in a directory that the "
    "worker\n"
    "allows (--registry-root), on its machine. A name that is there already is replaced; requests\n"
    "that run keep what they started with. Each line of the list has the name, the methods, the\n"
    "content's hash, the bytes in memory and the path.";

struct RegistryOptions {
  std::string address = "127.0.0.1:50051";
  std::string api_key;
  std::string model;
  std::string layout;
  v1::Defaults defaults;
  bool keep_sum = false;
  v1::LoadAdapterRequest adapter;
};

std::vector<Option> CommonOptions(RegistryOptions& out) {
  return {TextOption("grpc", "HOST:PORT",
                     "a worker, or a gateway's gRPC port (default 127.0.0.1:50051)", &out.address),
          TextOption("api-key", "KEY", "default: $SKEIN_API_KEY", &out.api_key),
          TextOption("model", "NAME", "default: the only model of a worker", &out.model)};
}

std::vector<Option> DefaultsOptions(RegistryOptions& out) {
  return {NumberOption("temperature", "T", "for requests that give none", 0, 100,
                       [&](double v) { out.defaults.set_temperature(static_cast<float>(v)); }),
          NumberOption("top-p", "P", "for requests that give none", 0, 1,
                       [&](double v) { out.defaults.set_top_p(static_cast<float>(v)); })};
}

// Of what requests may start from.
std::vector<Option> StateOptions(RegistryOptions& out) {
  std::vector<Option> table = CommonOptions(out);
  for (Option& option : DefaultsOptions(out)) table.push_back(std::move(option));
  return table;
}

class RegistryClient {
 public:
  explicit RegistryClient(const RegistryOptions& options)
      : stub_(v1::RegistryService::NewStub(
            grpc::CreateChannel(options.address, grpc::InsecureChannelCredentials()))),
        api_key_(options.api_key) {
    const char* from_environment = std::getenv("SKEIN_API_KEY");
    if (api_key_.empty() && from_environment != nullptr) api_key_ = from_environment;
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::RegistryService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    grpc::ClientContext context;
    if (!api_key_.empty()) context.AddMetadata("authorization", "Bearer " + api_key_);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (status.ok()) return response;
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }

 private:
  const std::unique_ptr<v1::RegistryService::Stub> stub_;
  std::string api_key_;
};

std::string DefaultsText(const v1::Defaults& defaults) {
  std::string text;
  if (defaults.has_temperature()) absl::StrAppend(&text, "\ttemperature ", defaults.temperature());
  if (defaults.has_top_p()) absl::StrAppend(&text, "\ttop-p ", defaults.top_p());
  return text;
}

std::string EntryText(const v1::Entry& entry) {
  if (entry.kind() == v1::ENTRY_KIND_MIXTURE) {
    const std::string weights = absl::StrJoin(
        entry.mix().states(), " ", [](std::string* out, const v1::StateWeight& state) {
          absl::StrAppend(out, state.name().empty() ? "\"\"" : state.name(), ":", state.weight());
        });
    return absl::StrCat(entry.name(), "\t", weights, entry.mix().keep_sum() ? "\tkeep-sum" : "",
                        DefaultsText(entry.defaults()));
  }
  const std::string method = entry.method().empty() ? "" : absl::StrCat("\t", entry.method());
  return absl::StrCat(entry.name(), method, "\t", entry.content_hash(), "\t", entry.bytes(), "\t",
                      entry.path(), DefaultsText(entry.defaults()));
}

void Show(const v1::Entry& entry, Terminal& terminal) {
  for (const std::string& warning : entry.warnings()) {
    terminal.err << "warning: " << warning << "\n";
  }
  terminal.out << EntryText(entry) << "\n";
}

absl::Status List(const RegistryOptions& options, v1::EntryKind kind, Terminal& terminal) {
  v1::ListRequest request;
  request.set_model(options.model);
  ASSIGN_OR_RETURN(const v1::ListResponse list,
                   RegistryClient(options).Call(&v1::RegistryService::Stub::List, request));
  for (const v1::Entry& entry : list.entries()) {
    if (entry.kind() == kind) terminal.out << EntryText(entry) << "\n";
  }
  return absl::OkStatus();
}

absl::Status Remove(const RegistryOptions& options, v1::EntryKind kind, const std::string& name) {
  v1::RemoveRequest request;
  request.set_model(options.model);
  request.set_kind(kind);
  request.set_name(name);
  return RegistryClient(options).Call(&v1::RegistryService::Stub::Remove, request).status();
}

absl::StatusOr<v1::StateLayout> ParseLayout(const std::string& layout) {
  if (layout.empty()) return v1::STATE_LAYOUT_UNSPECIFIED;
  if (layout == "vk") return v1::STATE_LAYOUT_VALUE_KEY;
  if (layout == "kv") return v1::STATE_LAYOUT_KEY_VALUE;
  return absl::InvalidArgumentError(
      absl::StrCat("--layout: \"", layout, "\", expected vk (value, key) or kv"));
}

absl::Status Load(const RegistryOptions& options, const std::string& name, const std::string& path,
                  Terminal& terminal) {
  v1::LoadStateRequest request;
  request.set_model(options.model);
  request.set_name(name);
  request.set_path(path);
  ASSIGN_OR_RETURN(const v1::StateLayout layout, ParseLayout(options.layout));
  request.set_layout(layout);
  if (options.defaults.ByteSizeLong() > 0) *request.mutable_defaults() = options.defaults;
  ASSIGN_OR_RETURN(const v1::Entry entry,
                   RegistryClient(options).Call(&v1::RegistryService::Stub::LoadState, request));
  Show(entry, terminal);
  return absl::OkStatus();
}

absl::Status LoadAdapter(const RegistryOptions& options, const std::string& name,
                         const std::string& path, Terminal& terminal) {
  v1::LoadAdapterRequest request = options.adapter;
  request.set_model(options.model);
  request.set_name(name);
  request.set_path(path);
  ASSIGN_OR_RETURN(const v1::Entry entry,
                   RegistryClient(options).Call(&v1::RegistryService::Stub::LoadAdapter, request));
  Show(entry, terminal);
  return absl::OkStatus();
}

absl::Status AddPart(const std::string& text, v1::StateMix& mix) {
  const size_t colon = text.rfind(':');
  float weight = 0;
  if (colon == std::string::npos || !absl::SimpleAtof(text.substr(colon + 1), &weight)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\", expected STATE:WEIGHT such as pirate:0.7"));
  }
  v1::StateWeight& part = *mix.add_states();
  part.set_name(text.substr(0, colon));
  part.set_weight(weight);
  return absl::OkStatus();
}

absl::Status Define(const RegistryOptions& options, const std::vector<std::string>& words,
                    Terminal& terminal) {
  v1::DefineMixtureRequest request;
  request.set_model(options.model);
  request.set_name(words[1]);
  request.mutable_mix()->set_keep_sum(options.keep_sum);
  for (size_t i = 2; i < words.size(); ++i) {
    RETURN_IF_ERROR(AddPart(words[i], *request.mutable_mix()));
  }
  if (options.defaults.ByteSizeLong() > 0) *request.mutable_defaults() = options.defaults;
  ASSIGN_OR_RETURN(const v1::Entry entry, RegistryClient(options).Call(
                                              &v1::RegistryService::Stub::DefineMixture, request));
  Show(entry, terminal);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunStates(const std::vector<std::string>& args, Terminal& terminal) {
  RegistryOptions options;
  std::vector<Option> table = StateOptions(options);
  table.push_back(TextOption("layout", "vk|kv",
                             "order of the file's matrices (default: as the file says, else vk)",
                             &options.layout));
  ASSIGN_OR_RETURN(const ParsedArgs parsed, ParseArgs(args, table));
  if (parsed.help) {
    terminal.out << HelpText(kStatesUsage, kStatesDetails, table);
    return absl::OkStatus();
  }
  const std::vector<std::string>& words = parsed.positional;
  if (words.empty() || (words.size() == 1 && words[0] == "list")) {
    return List(options, v1::ENTRY_KIND_STATE, terminal);
  }
  if (words.size() == 3 && words[0] == "load") return Load(options, words[1], words[2], terminal);
  if (words.size() == 2 && words[0] == "remove") {
    return Remove(options, v1::ENTRY_KIND_STATE, words[1]);
  }
  return absl::InvalidArgumentError(absl::StrCat("expected ", kStatesUsage));
}

absl::Status RunMixtures(const std::vector<std::string>& args, Terminal& terminal) {
  RegistryOptions options;
  std::vector<Option> table = StateOptions(options);
  table.push_back(SwitchOption("keep-sum", "use the weights as they are, not divided by their sum",
                               &options.keep_sum));
  ASSIGN_OR_RETURN(const ParsedArgs parsed, ParseArgs(args, table));
  if (parsed.help) {
    terminal.out << HelpText(kMixturesUsage, kMixturesDetails, table);
    return absl::OkStatus();
  }
  const std::vector<std::string>& words = parsed.positional;
  if (words.empty() || (words.size() == 1 && words[0] == "list")) {
    return List(options, v1::ENTRY_KIND_MIXTURE, terminal);
  }
  if (words.size() >= 3 && words[0] == "define") return Define(options, words, terminal);
  if (words.size() == 2 && words[0] == "remove") {
    return Remove(options, v1::ENTRY_KIND_MIXTURE, words[1]);
  }
  return absl::InvalidArgumentError(absl::StrCat("expected ", kMixturesUsage));
}

absl::Status RunAdapters(const std::vector<std::string>& args, Terminal& terminal) {
  RegistryOptions options;
  std::vector<Option> table = CommonOptions(options);
  table.push_back(NumberOption(
      "scaling", "S", "factor of a LoRA's product (default: as the file's folder says, else 2)",
      -1000, 1000, [&](double v) { options.adapter.set_scaling(static_cast<float>(v)); }));
  table.push_back(
      NumberOption("alpha", "A", "in place of it: the factor is A / rank", -1e6, 1e6,
                   [&](double v) { options.adapter.set_alpha(static_cast<float>(v)); }));
  table.push_back(NumberOption(
      "mole-rule", "1|2", "routing of a mixture of experts (default 2; 1: the first trainings)", 1,
      2, [&](double v) { options.adapter.set_mole_rule(static_cast<uint32_t>(v)); }));
  ASSIGN_OR_RETURN(const ParsedArgs parsed, ParseArgs(args, table));
  if (parsed.help) {
    terminal.out << HelpText(kAdaptersUsage, kAdaptersDetails, table);
    return absl::OkStatus();
  }
  const std::vector<std::string>& words = parsed.positional;
  if (words.empty() || (words.size() == 1 && words[0] == "list")) {
    return List(options, v1::ENTRY_KIND_ADAPTER, terminal);
  }
  if (words.size() == 3 && words[0] == "load") {
    return LoadAdapter(options, words[1], words[2], terminal);
  }
  if (words.size() == 2 && words[0] == "remove") {
    return Remove(options, v1::ENTRY_KIND_ADAPTER, words[1]);
  }
  return absl::InvalidArgumentError(absl::StrCat("expected ", kAdaptersUsage));
}

}  // namespace skein::ctl
