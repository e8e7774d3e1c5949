// The examples of RWKV-Infer's API, in the order in which a script of its users sends them.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "boost/json/value.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/testing/golden.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::HasSubstr;

constexpr char kPirate[] = "Arr! 138, matey!";
constexpr char kPlain[] = "138";

class RwkvInferE2eTest : public testing::Test {
 protected:
  RwkvInferE2eTest() : root_(fs::path(testing::TempDir()) / absl::StrCat("infer", getpid())) {
    const fs::path demo = SourcePath("deploy/demo-model");
    for (const char* file :
         {"states/pirate.safetensors", "states/formal.safetensors", "adapters/words.safetensors"}) {
      fs::create_directories((root_ / file).parent_path());
      fs::copy_file(demo / file, root_ / file, fs::copy_options::overwrite_existing);
    }
  }
  ~RwkvInferE2eTest() override { fs::remove_all(root_); }

  void Start(std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--registry-root", root_.string()});
    for (auto& worker : workers_) {
      auto started = WorkerServer::Start({.flags = flags});
      ASSERT_TRUE(started.ok()) << started.status();
      worker = *std::move(started);
    }
    auto gateway = GatewayServer::Start({workers_[0]->address(), workers_[1]->address()},
                                        "rwkv_infer_listen: '127.0.0.1:0'");
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    const auto line =
        gateway_->process().WaitForLine("event=\"rwkv-infer listening\"", Patience(10));
    ASSERT_TRUE(line.ok()) << line.status();
    const std::string address = LogField(*line, "address");
    port_ = std::stoi(address.substr(address.rfind(':') + 1));
  }

  ClientResponse Post(const std::string& path, const std::string& body) const {
    HttpClient client(port_, Patience(60));
    const auto response = client.Post(path, body);
    EXPECT_TRUE(response.ok()) << path << ": " << response.status();
    return response.value_or(ClientResponse());
  }
  std::string Get(const std::string& path) const {
    const auto response = HttpGet(port_, path);
    EXPECT_TRUE(response.ok()) << path << ": " << response.status();
    return response.ok() ? response->body : "";
  }
  void Manage(const std::string& path, const std::string& body) const {
    const ClientResponse response = Post(path, body);
    ASSERT_EQ(response.status, 200) << path << ": " << response.body;
    const json::value reply = json::parse(response.body);
    EXPECT_EQ(reply.at("status").as_string(), "success");
    for (const json::value& worker : reply.at("workers").as_array()) {
      EXPECT_TRUE(worker.at("ok").as_bool());
    }
  }
  std::string Chat(const std::string& model, const std::string& members = "") const {
    const ClientResponse response =
        Post("/chat/completions",
             absl::StrCat(R"({"model":")", model,
                          R"(","messages":[{"role":"user","content":"Compute 41 + 97."}],)",
                          R"("max_tokens":40,"temperature":"0")", members, "}"));
    if (response.status != 200) return response.body;
    return std::string(
        json::parse(response.body).at("choices").at(0).at("message").at("content").as_string());
  }

  const fs::path root_;
  std::unique_ptr<WorkerServer> workers_[2];
  std::unique_ptr<GatewayServer> gateway_;
  int port_ = 0;
};

TEST_F(RwkvInferE2eTest, StatesAndMixturesAreLoadedChosenWeighedAndRemoved) {
  ASSERT_NO_FATAL_FAILURE(Start({}));
  EXPECT_EQ(Get("/healthcheck"), R"({"message":"ok","status_code":200})");
  EXPECT_EQ(Chat("demo"), kPlain);
  Manage("/loadstatemodel",
         R"({"state_filename":"states/pirate.safetensors","state_viewname":"Persona",)"
         R"("default_temperature":"1.0","default_top_p":"0.3"})");
  EXPECT_EQ(Get("/models"),
            R"([{"object":"models","id":"demo"},{"object":"models","id":"demo Persona"}])");
  EXPECT_EQ(Chat("demo Persona"), kPirate);
  Manage("/mrss_loadstatemodel",
         R"({"state_viewname":"MRSS","state_filenames":["states/pirate.safetensors",)"
         R"("states/formal.safetensors"],"contain_originalstate":"True",)"
         R"("state_gatingweight":["1.0","0.0","0.0"],"default_temperature":"1.0",)"
         R"("default_top_p":"0.8"})");
  EXPECT_EQ(Chat("demo MRSS"), kPirate);
  Manage("/mrss_set_gatingweight",
         R"({"state_viewname":"demo MRSS","state_gatingweight":["0","0","1"]})");
  EXPECT_EQ(Chat("demo MRSS"), kPlain);
  EXPECT_EQ(Chat("demo MRSS", R"(,"mrss_gatingweight":["1","0","0","0"])"), kPirate);
  Manage("/removestatemodel", R"({"dummy":"dummy"})");
  EXPECT_EQ(Get("/models"), R"([{"object":"models","id":"demo"}])");
  EXPECT_THAT(Chat("demo MRSS"), HasSubstr("model_not_found"));
}

TEST_F(RwkvInferE2eTest, ModelsAreLoadedReplacedAndRemoved) {
  fs::create_directories(root_ / "models");
  for (const char* name : {"model.safetensors", "config.json", "generation_config.json",
                           "tokenizer.json", "tokenizer_config.json"}) {
    fs::create_directories(root_ / "models" / "RWKV-x079-demo");
    fs::copy_file(fs::path(SourcePath("deploy/demo-model")) / name,
                  root_ / "models" / "RWKV-x079-demo" / name, fs::copy_options::overwrite_existing);
  }
  ASSERT_NO_FATAL_FAILURE(Start({"--model-root", root_.string()}));
  Manage("/loadmodel",
         R"({"model_filename":"models/RWKV-x079-demo","model_viewname":"RWKV x079 demo",)"
         R"("model_strategy":"fp16","endtoken":"\\n\\n","default_temperature":"0",)"
         R"("default_top_p":"0.3"})");
  EXPECT_EQ(Get("/models"), R"([{"object":"models","id":"RWKV x079 demo"}])");
  EXPECT_EQ(Chat("RWKV x079 demo"), kPlain);
  // Greedy because the model was loaded so.
  const ClientResponse greedy =
      Post("/completions", R"({"model":"RWKV x079 demo","prompt":"Once","max_tokens":5,"n":3})");
  ASSERT_EQ(greedy.status, 200) << greedy.body;
  const json::value choices = json::parse(greedy.body).at("choices");
  EXPECT_EQ(choices.at(0).at("text"), choices.at(2).at("text"));
  Manage("/loadstatemodel", R"({"state_filename":"states/pirate.safetensors",)"
                            R"("state_viewname":"Persona"})");
  EXPECT_EQ(Chat("RWKV x079 demo Persona"), kPirate);
  const ClientResponse unknown =
      Post("/loadmodel", R"({"model_filename":"models/none.pth","model_viewname":"x"})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("model_filename: "));
  EXPECT_EQ(Chat("RWKV x079 demo Persona"), kPirate);
  Manage("/loadmodel",
         R"({"model_filename":"models/RWKV-x079-demo","adapter_mode":"lora",)"
         R"("adapter_filename":"adapters/words.safetensors","adapter_scaling":"2.0"})");
  EXPECT_EQ(Get("/models"), R"([{"object":"models","id":"default model"}])");
  EXPECT_EQ(Chat("default model"), "one hundred and thirty eight");
  EXPECT_THAT(Get("/v1/models"), HasSubstr(R"("merged_adapter":"words")"));
  Manage("/removemodel", R"({"dummy":"dummy"})");
  EXPECT_EQ(Get("/models"), "[]");
  EXPECT_EQ(Get("/healthcheck"), R"({"message":"ok","status_code":200})");
}

TEST_F(RwkvInferE2eTest, ErrorsAreTheUsers) {
  ASSERT_NO_FATAL_FAILURE(Start({}));
  struct Case {
    const char* path;
    const char* body;
    int status;
    const char* detail;
  };
  for (const Case& c :
       {Case{"/chat/completions", R"({"model":"demo","messages":[]})", 400, "messages"},
        Case{"/chat/completions", R"({"model":"gpt","messages":[{"role":"user","content":"a"}]})",
             404, "gpt"},
        Case{"/completions", R"({"model":"demo","prompt":""})", 400, "prompt: empty"},
        Case{"/completions", R"({"model":"demo","prompt":"a","max_tokens":100000})", 400,
             "max_tokens: 100000, expected 1 to"},
        Case{"/loadstatemodel", R"({"state_filename":"../x.pth","state_viewname":"x"})", 400,
             "state_filename: \"../x.pth\""},
        Case{"/loadstatemodel", R"({"state_filename":"states/none.pth","state_viewname":"x"})", 404,
             "state_filename: \"states/none.pth\": no such file"},
        Case{"/mrss_loadstatemodel",
             R"({"state_filenames":["states/pirate.safetensors"],)"
             R"("state_viewname":"a:b"})",
             400, "state_viewname"}}) {
    const ClientResponse response = Post(c.path, c.body);
    EXPECT_EQ(response.status, c.status) << c.path << c.body << response.body;
    EXPECT_THAT(std::string(json::parse(response.body).at("detail").as_string()),
                HasSubstr(c.detail));
  }
  EXPECT_EQ(Get("/models"), R"([{"object":"models","id":"demo"}])");
}

TEST_F(RwkvInferE2eTest, TextIsStreamedAsItsClientsReadIt) {
  ASSERT_NO_FATAL_FAILURE(Start({}));
  const ClientResponse chat =
      Post("/v1/chat/completions",
           R"({"model":"demo","messages":[{"role":"user","content":"Compute 41 + 97."}],)"
           R"("stream":true,"max_tokens":40,"temperature":0})");
  ASSERT_EQ(chat.status, 200) << chat.body;
  std::string text;
  std::string rest = chat.body;
  for (size_t end = rest.find("\n\n"); end != rest.npos; end = rest.find("\n\n")) {
    const std::string event = rest.substr(0, end);
    rest = rest.substr(end + 2);
    if (event == "data: [DONE]") break;
    const json::value chunk = json::parse(event.substr(event.find('{')));
    text += std::string(chunk.at("choices").at(0).at("delta").at("content").as_string());
  }
  EXPECT_EQ(text, kPlain);
  const ClientResponse echo =
      Post("/completions", R"({"model":"demo","prompt":["Once"],"echo":true,"max_tokens":3})");
  ASSERT_EQ(echo.status, 200) << echo.body;
  EXPECT_THAT(std::string(json::parse(echo.body).at("choices").at(0).at("text").as_string()),
              testing::StartsWith("Once"));
}

}  // namespace
}  // namespace skein
