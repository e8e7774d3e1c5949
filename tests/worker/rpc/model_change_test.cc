// LoadModel and UnloadModel.
#include <cmath>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/golden.h"
#include "tests/worker/rpc/demo_worker.h"
#include "tests/worker/rpc/test_worker.h"
#include "worker/rpc/health_check.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Loaded {
  grpc::Status status;
  std::vector<v1::LoadProgress> progress;
  const v1::ModelInfo& info() const { return progress.back().ready(); }
};

v1::LoadModelRequest DemoModel(const std::string& name = "demo") {
  v1::LoadModelRequest request;
  request.set_name(name);
  request.set_path("demo-model");
  return request;
}

Loaded Load(TestWorker& worker, const v1::LoadModelRequest& request) {
  Loaded loaded;
  grpc::ClientContext context;
  const auto reader = worker.worker().LoadModel(&context, request);
  v1::LoadProgress progress;
  while (reader->Read(&progress)) loaded.progress.push_back(progress);
  loaded.status = reader->Finish();
  return loaded;
}

grpc::Status Unload(TestWorker& worker, const std::string& name) {
  grpc::ClientContext context;
  v1::UnloadModelRequest request;
  request.set_name(name);
  v1::UnloadModelResponse response;
  return worker.worker().UnloadModel(&context, request, &response);
}

std::vector<std::string> Models(TestWorker& worker) {
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  EXPECT_TRUE(worker.worker().ListModels(&context, {}, &response).ok());
  std::vector<std::string> names;
  for (const v1::ModelInfo& model : response.models()) names.push_back(model.name());
  return names;
}

std::string Ask(TestWorker& worker, v1::GenerateRequest request) {
  v1::ChatTurn* turn = request.mutable_prompt()->mutable_chat()->add_turns();
  turn->set_role("user");
  turn->set_content("What is 803 plus 802?");
  request.mutable_stopping()->set_max_tokens(16);
  const Collected got = Collect(worker.inference(), request);
  return got.status.ok() ? got.Text() : got.status.error_message();
}

class ModelChangeTest : public ::testing::Test {
 protected:
  TestWorker worker_{{.roots = {SourcePath("deploy/demo-model")},
                      .model_roots = {SourcePath("deploy"), testing::TempDir()}}};
};

TEST_F(ModelChangeTest, WithoutRootsNothingIsLoadedOrUnloaded) {
  TestWorker worker;
  for (const grpc::Status& status :
       {Load(worker, DemoModel()).status, Unload(worker, "alphabet")}) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("(model_root, --model-root)"));
  }
}

TEST_F(ModelChangeTest, ALoadTellsItsProgressAndThenWhatIsServed) {
  const Loaded loaded = Load(worker_, DemoModel());
  ASSERT_TRUE(loaded.status.ok()) << loaded.status.error_message();
  ASSERT_GE(loaded.progress.size(), 1u);
  uint64_t done = 0;
  for (const v1::LoadProgress& progress : loaded.progress) {
    EXPECT_GE(progress.bytes_done(), done);
    EXPECT_GE(progress.bytes_total(), progress.bytes_done());
    done = progress.bytes_done();
  }
  EXPECT_GT(done, 10'000'000u);
  EXPECT_EQ(loaded.info().name(), "demo");
  EXPECT_EQ(loaded.info().chat_format(), "chatml");
  EXPECT_EQ(loaded.info().state_dtype(), "fp32");
  EXPECT_THAT(Models(worker_), ElementsAre("demo"));

  const std::string& address = worker_.server().address();
  EXPECT_TRUE(CheckHealth(address, {}, absl::Seconds(10)).ok());
  EXPECT_TRUE(CheckHealth(address + "/demo", {}, absl::Seconds(10)).ok());
  EXPECT_FALSE(CheckHealth(address + "/alphabet", {}, absl::Seconds(10)).ok());
  v1::GenerateRequest greedy;
  greedy.mutable_sampling()->set_temperature(0);
  EXPECT_EQ(Ask(worker_, greedy), "1605");
  greedy.set_model("alphabet");
  EXPECT_THAT(Ask(worker_, greedy), HasSubstr("\"alphabet\": not served here, expected demo"));
}

TEST_F(ModelChangeTest, RequestsThatCannotBeMetChangeNothing) {
  struct Case {
    const char* what;
    void (*edit)(v1::LoadModelRequest&);
    grpc::StatusCode code;
    const char* message;
  };
  using R = v1::LoadModelRequest;
  using C = grpc::StatusCode;
  for (const Case& c : {
           Case{"no name", [](R& r) { r.clear_name(); }, C::INVALID_ARGUMENT, "name: 0 bytes"},
           Case{"health's name", [](R& r) { r.set_name("liveness"); }, C::INVALID_ARGUMENT,
                "name:"},
           Case{"control", [](R& r) { r.set_name("a\nb"); }, C::INVALID_ARGUMENT,
                "name: \"a\\nb\""},
           Case{"no path", [](R& r) { r.clear_path(); }, C::INVALID_ARGUMENT, "path:"},
           Case{"out", [](R& r) { r.set_path("../docs"); }, C::INVALID_ARGUMENT, "without \"..\""},
           Case{"outside", [](R& r) { r.set_path("/etc"); }, C::PERMISSION_DENIED, "/etc"},
           Case{"missing", [](R& r) { r.set_path("none"); }, C::NOT_FOUND, "none"},
           Case{"no model", [](R& r) { r.set_path("grafana"); }, C::NOT_FOUND, "holds no"},
           Case{"format", [](R& r) { r.set_weight_format("int3"); }, C::UNIMPLEMENTED, "\"int3\""},
           Case{"states", [](R& r) { r.set_state_dtype("fp8"); }, C::INVALID_ARGUMENT, "\"fp8\""},
           Case{"CPU", [](R& r) { r.set_state_dtype("fp16"); }, C::INVALID_ARGUMENT,
                "expected fp32"},
           Case{"chat", [](R& r) { r.set_chat_format("x"); }, C::INVALID_ARGUMENT, "chat_format: "},
           Case{"stop", [](R& r) { r.add_stop(""); }, C::INVALID_ARGUMENT, "stop: "},
           Case{"defaults", [](R& r) { r.mutable_defaults()->set_top_p(2); }, C::INVALID_ARGUMENT,
                "defaults.top_p"},
           Case{"theta", [](R& r) { r.set_rope_theta(0); }, C::INVALID_ARGUMENT, "rope_theta: 0"},
           Case{"no adapter", [](R& r) { r.mutable_merged_adapter(); }, C::INVALID_ARGUMENT,
                "merged_adapter.path: 0 bytes"},
           Case{"adapter", [](R& r) { r.mutable_merged_adapter()->set_path("none"); }, C::NOT_FOUND,
                "merged_adapter.path: \"none\""},
           Case{"scaling",
                [](R& r) {
                  r.mutable_merged_adapter()->set_path("adapters/words.safetensors");
                  r.mutable_merged_adapter()->set_scaling(NAN);
                },
                C::INVALID_ARGUMENT, "merged_adapter.scaling: "},
           Case{"a state",
                [](R& r) { r.mutable_merged_adapter()->set_path("states/pirate.safetensors"); },
                C::INVALID_ARGUMENT, "merged_adapter: pirate.safetensors changes no weights"},
           Case{"tokenizer", [](R& r) { r.set_tokenizer_path("none"); }, C::NOT_FOUND,
                "tokenizer_path: "},
       }) {
    SCOPED_TRACE(c.what);
    v1::LoadModelRequest request = DemoModel();
    c.edit(request);
    const Loaded loaded = Load(worker_, request);
    EXPECT_EQ(loaded.status.error_code(), c.code);
    EXPECT_THAT(loaded.status.error_message(), HasSubstr(c.message));
    EXPECT_EQ(loaded.progress.size(), 0u);
  }
  EXPECT_THAT(Models(worker_), ElementsAre("alphabet"));
  EXPECT_EQ(Collect(worker_.inference(), GreedyRequest("abc", 5)).Text(), Alphabet("abc", 5));
}

TEST_F(ModelChangeTest, ARequestSaysHowTheModelIsServed) {
  v1::LoadModelRequest request = DemoModel();
  request.mutable_defaults()->set_temperature(0);
  request.add_stop("05");
  const Loaded stored = Load(worker_, request);
  ASSERT_TRUE(stored.status.ok()) << stored.status.error_message();
  EXPECT_EQ(stored.info().defaults().ShortDebugString(), "temperature: 0");
  EXPECT_EQ(Ask(worker_, {}), "16");
  request.clear_stop();
  request.set_weight_format("fp32");
  const Loaded wide = Load(worker_, request);
  ASSERT_TRUE(wide.status.ok()) << wide.status.error_message();
  EXPECT_EQ(wide.info().weight_format(), "fp32");
  EXPECT_GT(wide.info().weight_bytes(), stored.info().weight_bytes());
  EXPECT_NE(wide.info().fingerprint(), stored.info().fingerprint());
  EXPECT_EQ(Ask(worker_, {}), "1605");
}

TEST_F(ModelChangeTest, ACallerThatLeavesDoesNotStopTheLoad) {
  worker_.pace().Close();
  std::thread running([&] { Collect(worker_.inference(), GreedyRequest("abc", 2)); });
  ASSERT_TRUE(worker_.WaitForLoad([](const LoadSnapshot& load) { return load.running == 1; }));
  grpc::ClientContext context;
  const auto reader = worker_.worker().LoadModel(&context, DemoModel());
  v1::LoadProgress progress;
  ASSERT_TRUE(reader->Read(&progress));
  EXPECT_EQ(progress.bytes_done(), 0u);
  context.TryCancel();
  while (reader->Read(&progress)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  const Loaded second = Load(worker_, DemoModel("other"));
  EXPECT_EQ(second.status.error_code(), grpc::StatusCode::ABORTED);
  worker_.pace().Open();
  running.join();
  while (Models(worker_) != std::vector<std::string>{"demo"}) absl::SleepFor(absl::Milliseconds(5));
}

TEST_F(ModelChangeTest, AReaderThatDoesNotReadHoldsUpNoLoad) {
  const auto channel = worker_.NewChannel(/*small_window=*/true);
  const auto stub = v1::InferenceService::NewStub(channel);
  grpc::ClientContext context;
  const auto reader = stub->Generate(&context, GreedyRequest("abc", 50'000));
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  const Loaded loaded = Load(worker_, DemoModel());
  EXPECT_TRUE(loaded.status.ok()) << loaded.status.error_message();
  std::string text = message.text();
  while (reader->Read(&message)) text += message.text();
  EXPECT_TRUE(reader->Finish().ok());  // it had ended before the model left
  EXPECT_EQ(text, Alphabet("abc", 50'000));
}

TEST_F(ModelChangeTest, AnUnloadedWorkerSaysSoAndLoadsAgain) {
  EXPECT_EQ(Unload(worker_, "other").error_code(), grpc::StatusCode::NOT_FOUND);
  grpc::ClientContext context;
  const auto watch = worker_.worker().WatchLoad(&context, {});
  EXPECT_TRUE(Unload(worker_, "alphabet").ok());
  EXPECT_THAT(Models(worker_), ElementsAre());
  v1::WorkerLoad load;
  while (watch->Read(&load) && (load.ready_models_size() > 0 || load.free_state_slots() > 0)) {
  }
  EXPECT_FALSE(load.draining());
  EXPECT_FALSE(CheckHealth(worker_.server().address(), {}, absl::Seconds(10)).ok());
  EXPECT_TRUE(CheckHealth(worker_.server().address() + "/liveness", {}, absl::Seconds(10)).ok());
  const Collected refused = Collect(worker_.inference(), GreedyRequest("abc", 1));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Unload(worker_, "").error_code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(Load(worker_, DemoModel()).status.ok());
  while (watch->Read(&load) && load.ready_models().empty()) {
  }
  EXPECT_THAT(load.ready_models(), ElementsAre("demo"));
  context.TryCancel();
  while (watch->Read(&load)) {
  }
  watch->Finish();
}

TEST_F(ModelChangeTest, AfterTheGraceTimeStreamsEndWithTheReason) {
  TestWorker worker({.model_roots = {SourcePath("deploy")}, .grace = absl::Milliseconds(50)});
  worker.pace().SetStepTime(absl::Milliseconds(1));
  Collected running;
  std::thread caller([&] { running = Collect(worker.inference(), GreedyRequest("abc", 90'000)); });
  ASSERT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) { return load.running == 1; }));
  EXPECT_TRUE(Load(worker, DemoModel()).status.ok());
  caller.join();
  EXPECT_EQ(running.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(running.status.error_message(), HasSubstr("is being replaced by demo; the time"));
}

grpc::Status Register(TestWorker& worker, const std::string& adapter) {
  v1::LoadAdapterRequest request;
  request.set_name(adapter);
  request.set_path("adapters/" + adapter + ".safetensors");
  grpc::ClientContext context;
  v1::Entry entry;
  return worker.registry().LoadAdapter(&context, request, &entry);
}

// LoRA, DoRA and Bone.
TEST_F(ModelChangeTest, AMergedAdapterAnswersAsItDoesBesideTheWeights) {
  std::vector<std::string> fingerprints;
  for (const char* name : {"words", "json", "roman"}) {
    SCOPED_TRACE(name);
    v1::LoadModelRequest request = DemoModel();
    request.set_weight_format("fp32");
    request.mutable_merged_adapter()->set_path(std::string("adapters/") + name + ".safetensors");
    const Loaded loaded = Load(worker_, request);
    ASSERT_TRUE(loaded.status.ok()) << loaded.status.error_message();
    EXPECT_EQ(loaded.info().merged_adapter(), std::string(name) + ".safetensors");
    fingerprints.push_back(loaded.info().fingerprint());
    const std::vector<DemoPrompt> prompts = DemoPrompts(name);
    ASSERT_GE(prompts.size(), 10u);
    for (size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(Collect(worker_.inference(), prompts[i].request).Text(), prompts[i].expected);
    }
  }
  EXPECT_NE(fingerprints[0], fingerprints[1]);
  EXPECT_NE(fingerprints[1], fingerprints[2]);
  const grpc::Status refused = Register(worker_, "words");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("roman.safetensors is merged into the weights"));
  ASSERT_TRUE(Load(worker_, DemoModel()).status.ok());
  EXPECT_TRUE(Register(worker_, "words").ok());
}

// As when somebody copies another file over it.
TEST_F(ModelChangeTest, ACheckpointThatIsCutWhileItIsServedEndsNothing) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "cut-model";
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json",
                           "generation_config.json", "model.safetensors"}) {
    fs::copy_file(SourcePath(std::string("deploy/demo-model/") + file), folder / file);
  }
  v1::LoadModelRequest request = DemoModel();
  request.set_path("cut-model");
  ASSERT_TRUE(Load(worker_, request).status.ok());
  fs::resize_file(folder / "model.safetensors", 200'000);
  const grpc::Status cut = Register(worker_, "json");  // DoRA needs norms of the weights
  EXPECT_EQ(cut.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_THAT(cut.error_message(), HasSubstr("it was cut after it was opened"));
  EXPECT_TRUE(Register(worker_, "words").ok());
  v1::GenerateRequest greedy;
  greedy.mutable_sampling()->set_temperature(0);
  EXPECT_EQ(Ask(worker_, greedy), "1605");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace skein
