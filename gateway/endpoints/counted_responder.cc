#include "gateway/endpoints/counted_responder.h"

#include <atomic>
#include <functional>
#include <utility>

namespace skein {
namespace {

constexpr int kClientLeft = 499;

// Shared by a responder, its writer and its callback. Thread-safe.
class Tally {
 public:
  Tally(GatewayMetrics& metrics, const Clock& clock, std::string route, absl::Time received)
      : metrics_(metrics), clock_(clock), route_(std::move(route)), received_(received) {}

  // The first call counts.
  void Count(int status) {
    if (counted_.exchange(true)) return;
    metrics_.CountRequest(route_, status, absl::ToDoubleSeconds(clock_.Now() - received_));
  }

 private:
  GatewayMetrics& metrics_;
  const Clock& clock_;
  const std::string route_;
  const absl::Time received_;
  std::atomic<bool> counted_{false};
};

class CountedWriter : public SseWriter {
 public:
  CountedWriter(std::shared_ptr<SseWriter> writer, std::shared_ptr<Tally> tally)
      : writer_(std::move(writer)), tally_(std::move(tally)) {}
  ~CountedWriter() override { tally_->Count(500); }

  void Event(absl::string_view data) override { writer_->Event(data); }
  bool AwaitRoom(std::function<void()> on_room) override {
    return writer_->AwaitRoom(std::move(on_room));
  }
  void Close() override {
    tally_->Count(200);
    writer_->Close();
  }

 private:
  const std::shared_ptr<SseWriter> writer_;
  const std::shared_ptr<Tally> tally_;
};

class CountedResponder : public HttpResponder {
 public:
  CountedResponder(std::shared_ptr<HttpResponder> out, std::shared_ptr<Tally> tally)
      : out_(std::move(out)), tally_(std::move(tally)) {
    OnDisconnect(nullptr);
  }
  ~CountedResponder() override {
    if (!streaming_) tally_->Count(500);
  }

  void AddHeader(std::string name, std::string value) override {
    out_->AddHeader(std::move(name), std::move(value));
  }
  void Send(HttpResponse response) override {
    tally_->Count(response.status);
    out_->Send(std::move(response));
  }
  std::shared_ptr<SseWriter> StartEvents() override {
    streaming_ = true;  // from here on the writer counts
    return std::make_shared<CountedWriter>(out_->StartEvents(), tally_);
  }
  void OnDisconnect(std::function<void()> callback) override {
    out_->OnDisconnect([tally = tally_, callback = std::move(callback)] {
      tally->Count(kClientLeft);
      if (callback) callback();
    });
  }
  void OnSilence(std::function<void()> callback) override { out_->OnSilence(std::move(callback)); }
  void OnShutdown(std::function<void()> callback) override {
    out_->OnShutdown(std::move(callback));
  }

 private:
  const std::shared_ptr<HttpResponder> out_;
  const std::shared_ptr<Tally> tally_;
  std::atomic<bool> streaming_{false};
};

}  // namespace

std::shared_ptr<HttpResponder> CountAnswer(std::shared_ptr<HttpResponder> out,
                                           GatewayMetrics& metrics, const Clock& clock,
                                           std::string route, absl::Time received) {
  auto tally = std::make_shared<Tally>(metrics, clock, std::move(route), received);
  return std::make_shared<CountedResponder>(std::move(out), std::move(tally));
}

}  // namespace skein
