#include "gateway/http/exchange.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/log.h"
#include "gateway/http/response_text.h"

namespace skein {

class ExchangeWriter final : public SseWriter {
 public:
  explicit ExchangeWriter(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~ExchangeWriter() override { exchange_->CloseStream(/*broken=*/true); }

  void Event(absl::string_view data) override { exchange_->AddEvent(data); }
  bool AwaitRoom(std::function<void()> on_room) override {
    return exchange_->AwaitRoom(std::move(on_room));
  }
  void Close() override { exchange_->CloseStream(/*broken=*/false); }

 private:
  const std::shared_ptr<Exchange> exchange_;
};

class ExchangeResponder final : public HttpResponder {
 public:
  explicit ExchangeResponder(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~ExchangeResponder() override { exchange_->ResponderDropped(); }

  void AddHeader(std::string name, std::string value) override {
    exchange_->AddHeader(std::move(name), std::move(value));
  }

  void Send(HttpResponse response) override { exchange_->Send(std::move(response)); }

  std::shared_ptr<SseWriter> StartEvents() override {
    // A second stream gets a writer of its own, on an exchange that nobody reads.
    if (!exchange_->StartEvents()) {
      auto nobodys = std::make_shared<Exchange>(nullptr);
      nobodys->Detach();
      return std::make_shared<ExchangeWriter>(std::move(nobodys));
    }
    return std::make_shared<ExchangeWriter>(exchange_);
  }

  void OnDisconnect(std::function<void()> callback) override {
    exchange_->OnDisconnect(std::move(callback));
  }

  void OnSilence(std::function<void()> callback) override {
    exchange_->OnSilence(std::move(callback));
  }

  void OnShutdown(std::function<void()> callback) override {
    exchange_->OnShutdown(std::move(callback));
  }

 private:
  const std::shared_ptr<Exchange> exchange_;
};

std::shared_ptr<HttpResponder> Exchange::NewResponder() {
  return std::make_shared<ExchangeResponder>(shared_from_this());
}

Exchange::Output Exchange::Take() {
  Output taken;
  Callbacks roomy;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    woken_ = false;
    taken.response = std::exchange(output_.response, std::nullopt);
    taken.events.swap(output_.events);
    taken.stream = output_.stream;
    taken.headers.swap(output_.headers);
    taken.closed = output_.closed;
    taken.broken = output_.broken;
    sending_bytes_ = taken.events.size();
    if (sending_bytes_ <= max_unsent_bytes_) roomy.swap(on_room_);
  }
  for (const auto& callback : roomy) callback();
  return taken;
}

void Exchange::Disconnect() {
  std::function<void()> callback;
  Callbacks waiting;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (disconnected_ || detached_) return;
    disconnected_ = true;
    callback.swap(on_disconnect_);
    waiting.swap(on_room_);
    output_.events.clear();
  }
  if (callback) callback();
  for (const auto& on_room : waiting) on_room();
}

void Exchange::Silence() {
  std::function<void()> callback;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (answered_ || disconnected_ || detached_) return;
    callback.swap(on_silence_);
  }
  if (callback) callback();
}

void Exchange::Shutdown() {
  std::function<void()> callback;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (disconnected_ || detached_) return;
    callback.swap(on_shutdown_);
  }
  if (callback) callback();
}

void Exchange::Detach() {
  // May own the handler's objects: freed after the lock.
  std::function<void()> dropped_callback;
  std::function<void()> dropped_silence;
  std::function<void()> dropped_shutdown;
  std::function<void()> dropped_wake;
  Callbacks waiting;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    detached_ = true;
    dropped_callback.swap(on_disconnect_);
    dropped_silence.swap(on_silence_);
    dropped_shutdown.swap(on_shutdown_);
    dropped_wake.swap(wake_);
    waiting.swap(on_room_);
  }
  for (const auto& on_room : waiting) on_room();
}

void Exchange::AddHeader(std::string name, std::string value) {
  const std::lock_guard<std::mutex> lock(mu_);
  headers_.emplace_back(std::move(name), std::move(value));
}

void Exchange::Send(HttpResponse response) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (answered_) {
    LogError("request answered twice", {{"status", absl::StrCat(response.status)}});
    return;
  }
  AnswerLocked(std::move(response));
}

bool Exchange::StartEvents() {
  const std::lock_guard<std::mutex> lock(mu_);
  if (answered_) {
    LogError("request answered twice", {{"status", "event stream"}});
    return false;
  }
  answered_ = true;
  output_.stream = true;
  output_.headers = std::move(headers_);
  WakeLocked();
  return true;
}

void Exchange::OnDisconnect(std::function<void()> callback) {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (!disconnected_) {
      if (!detached_) on_disconnect_.swap(callback);
      return;  // what `callback` holds now is freed after the lock
    }
  }
  if (callback) callback();
}

void Exchange::OnSilence(std::function<void()> callback) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (!detached_) on_silence_.swap(callback);
}

void Exchange::OnShutdown(std::function<void()> callback) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (!detached_) on_shutdown_.swap(callback);
}

void Exchange::AddEvent(absl::string_view data) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (output_.closed || disconnected_ || detached_) return;
  absl::StrAppend(&output_.events, "data: ", data, "\n\n");
  WakeLocked();
}

bool Exchange::AwaitRoom(std::function<void()> on_room) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (output_.closed || disconnected_ || detached_) return false;
  if (output_.events.size() + sending_bytes_ <= max_unsent_bytes_) return false;
  on_room_.push_back(std::move(on_room));
  return true;
}

void Exchange::CloseStream(bool broken) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (output_.closed) return;
  output_.closed = true;
  output_.broken = broken;
  WakeLocked();
}

void Exchange::ResponderDropped() {
  const std::lock_guard<std::mutex> lock(mu_);
  if (answered_) return;
  AnswerLocked(ErrorResponse(500, "no_answer", "The server lost this request."));
}

void Exchange::AnswerLocked(HttpResponse response) {
  answered_ = true;
  for (auto& header : headers_) response.headers.push_back(std::move(header));
  output_.response = std::move(response);
  WakeLocked();
}

void Exchange::WakeLocked() {
  if (woken_ || !wake_) return;
  woken_ = true;
  wake_();
}

}  // namespace skein
