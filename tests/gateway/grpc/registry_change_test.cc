#include "gateway/grpc/registry_change.h"

#include <atomic>

#include "gmock/gmock.h"

#include "tests/gateway/grpc/front_fixture.h"

namespace skein {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(SumUpTest, SaysWhatAllMadeOfIt) {
  using grpc::Status;
  using grpc::StatusCode;
  const WorkerOutcome a_ok{"a:1", Status::OK}, b_ok{"b:2", Status::OK};
  const WorkerOutcome a_full{"a:1", Status(StatusCode::RESOURCE_EXHAUSTED, "no room")};
  const WorkerOutcome b_full{"b:2", Status(StatusCode::RESOURCE_EXHAUSTED, "no room")};
  const WorkerOutcome b_gone{"b:2", Status(StatusCode::UNAVAILABLE, "gone")};
  EXPECT_TRUE(SumUp({a_ok, b_ok}).ok());
  EXPECT_EQ(SumUp({a_full}).error_message(), "no room");
  EXPECT_EQ(SumUp({a_full}).error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(SumUp({a_full, b_full}).error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(SumUp({a_full, b_full}).error_message(), "no room");
  EXPECT_EQ(SumUp({a_full, b_gone}).error_code(), StatusCode::ABORTED);
  EXPECT_EQ(SumUp({a_ok, b_gone}).error_code(), StatusCode::ABORTED);
  EXPECT_EQ(SumUp({a_ok, b_gone}).error_message(),
            "not on every worker: a:1 took it; b:2 did not: UNAVAILABLE, gone");
}

class RegistryChangeTest : public FrontTest {
 protected:
  v1::RegistryService::Stub& registry() {
    if (registry_ == nullptr) registry_ = v1::RegistryService::NewStub(channel());
    return *registry_;
  }
  grpc::Status LoadAdapter(const std::string& model = "fake") {
    grpc::ClientContext context;
    v1::LoadAdapterRequest request;
    request.set_model(model);
    request.set_name("poet");
    return registry().LoadAdapter(&context, request, &entry_);
  }
  void Accept(FakeWorker& worker, std::atomic<int>& count) {
    worker.OnLoadAdapter([&count](const v1::LoadAdapterRequest& request) {
      ++count;
      v1::Entry entry;
      entry.set_name(request.name());
      return entry;
    });
  }

  std::unique_ptr<v1::RegistryService::Stub> registry_;
  v1::Entry entry_;
};

TEST_F(RegistryChangeTest, GoesToEveryWorker) {
  std::atomic<int> at_a = 0, at_b = 0;
  Accept(a_, at_a);
  Accept(b_, at_b);
  const grpc::Status status = LoadAdapter();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(entry_.name(), "poet");
  EXPECT_EQ(at_a, 1);
  EXPECT_EQ(at_b, 1);
}

TEST_F(RegistryChangeTest, NamesTheWorkersThatRefuse) {
  std::atomic<int> at_a = 0;
  Accept(a_, at_a);
  b_.OnLoadAdapter([](const v1::LoadAdapterRequest&) { return absl::DataLossError("torn"); });
  const grpc::Status status = LoadAdapter();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_THAT(status.error_message(), AllOf(HasSubstr(a_.address() + " took it"),
                                            HasSubstr(b_.address() + " did not: DATA_LOSS, torn")));
}

TEST_F(RegistryChangeTest, WorkersWithoutARegistrySaySo) {
  const grpc::Status status = LoadAdapter();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "none");
}

TEST_F(RegistryChangeTest, AnUnknownModelIsNotFound) {
  EXPECT_EQ(LoadAdapter("other").error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(RegistryChangeTest, ListAsksOneWorker) {
  std::atomic<int> asked = 0;
  for (FakeWorker* worker : {&a_, &b_}) {
    worker->OnListEntries([&asked](const v1::ListRequest& request) {
      if (request.model().empty()) ++asked;  // not the gateway itself, which names the model
      v1::ListResponse response;
      response.set_revision(3);
      return response;
    });
  }
  grpc::ClientContext context;
  v1::ListRequest request;
  v1::ListResponse response;
  EXPECT_TRUE(registry().List(&context, request, &response).ok());
  EXPECT_EQ(response.revision(), 3u);
  EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace skein
