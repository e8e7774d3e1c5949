#include "gateway/rwkv_infer/models.h"

#include <string>

#include "boost/json/array.hpp"
#include "boost/json/serialize.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/gateway/rwkv_infer/infer_fixture.h"

namespace skein {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

using InferModelsTest = InferTest;

constexpr char kLoad[] =
    R"({"model_filename":"models/m.pth","model_viewname":"RWKV x070 7B","default_top_p":"0.6"})";

TEST_F(InferModelsTest, AModelTakesThePlaceOfTheOneOnEveryWorker) {
  const json::value loaded = Success(Post("/loadmodel", kLoad));
  EXPECT_EQ(loaded.at("workers").as_array().size(), 2u);
  for (const FakeWorker* worker : {&a_, &b_}) {
    ASSERT_EQ(worker->model_loads().size(), 1u);
    EXPECT_EQ(worker->model_loads()[0].path(), "models/m.pth");
  }
  // At once: the answer has waited until the gateway knows it.
  EXPECT_EQ(Get("/models").body, R"([{"object":"models","id":"RWKV x070 7B"}])");
  const HttpResponse chat =
      Post("/chat/completions",
           R"({"model":"RWKV x070 7B","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(chat.status, 200) << chat.body;
}

TEST_F(InferModelsTest, RemovingItLeavesNothing) {
  Success(Post("/removemodel", ""));
  EXPECT_EQ(Get("/models").body, "[]");
  Success(Post("/removemodel", R"({"dummy":"dummy"})"));
  const HttpResponse chat =
      Post("/chat/completions", R"({"model":"fake","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(chat.status, 503) << chat.body;
  EXPECT_THAT(chat.body, HasSubstr("POST /loadmodel loads one"));
  EXPECT_THAT(Post("/loadstatemodel", R"({"state_filename":"p","state_viewname":"x"})").body,
              HasSubstr("POST /loadmodel loads one"));
  Success(Post("/loadmodel", kLoad));
  EXPECT_EQ(Get("/models").body, R"([{"object":"models","id":"RWKV x070 7B"}])");
}

TEST_F(InferModelsTest, TheAnswerSaysWhichWorkerTookIt) {
  b_.OnLoadModel([](const v1::LoadModelRequest&) {
    return absl::NotFoundError("path: \"models/m.pth\": no such file");
  });
  const HttpResponse mixed = Post("/loadmodel", kLoad);
  EXPECT_EQ(mixed.status, 409) << mixed.body;
  const json::value body = json::parse(mixed.body);
  for (const json::value& worker : body.at("workers").as_array()) {
    EXPECT_EQ(worker.at("ok").as_bool(), worker.at("worker").as_string() == a_.address());
  }
  EXPECT_THAT(std::string(body.at("detail").as_string()), HasSubstr("not on every worker"));
}

TEST_F(InferModelsTest, AWorkersErrorNamesTheFieldOfTheBody) {
  b_.Stop();
  ASSERT_TRUE(WaitUntil([&] { return pool_.NumServing("fake", {b_.address()}) == 0; }));
  a_.OnLoadModel([](const v1::LoadModelRequest&) {
    return absl::NotFoundError("path: \"models/m.pth\": no such file");
  });
  const HttpResponse response = Post("/loadmodel", kLoad);
  EXPECT_EQ(response.status, 404) << response.body;
  const json::value body = json::parse(response.body);
  EXPECT_EQ(body.at("detail").as_string(), "model_filename: \"models/m.pth\": no such file");
  EXPECT_EQ(body.at("error").at("param").as_string(), "model_filename");
}

TEST_F(InferModelsTest, WarningsAreTold) {
  const json::value loaded =
      Success(Post("/loadmodel", R"({"model_filename":"m","adapter_filename":"a"})"));
  EXPECT_THAT(std::string(loaded.at("warnings").at(0).as_string()), HasSubstr("adapter_mode"));
}

TEST_F(InferModelsTest, TheListBelowV1IsOpenAis) {
  const json::value list = json::parse(Get("/v1/models").body);
  EXPECT_EQ(list.at("object").as_string(), "list");
  EXPECT_EQ(list.at("data").at(0).at("id").as_string(), "fake");
}

}  // namespace
}  // namespace skein
