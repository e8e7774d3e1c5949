// An HttpResponder that keeps what it is given.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/http/http_types.h"

namespace skein {

// Thread-safe. Create with std::make_shared.
class RecordingResponder : public HttpResponder,
                           public std::enable_shared_from_this<RecordingResponder> {
 public:
  void AddHeader(std::string name, std::string value) override {
    const std::lock_guard<std::mutex> lock(mu_);
    headers_.emplace_back(std::move(name), std::move(value));
  }
  void Send(HttpResponse response) override {
    const std::lock_guard<std::mutex> lock(mu_);
    response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
    ++num_answers_;
    response_ = std::move(response);
    changed_.notify_all();
  }
  std::shared_ptr<SseWriter> StartEvents() override {
    const std::lock_guard<std::mutex> lock(mu_);
    ++num_answers_;
    return std::make_shared<Writer>(shared_from_this());
  }
  void OnDisconnect(std::function<void()> callback) override {
    const std::lock_guard<std::mutex> lock(mu_);
    on_disconnect_ = std::move(callback);
  }

  void OnSilence(std::function<void()> callback) override {
    const std::lock_guard<std::mutex> lock(mu_);
    on_silence_ = std::move(callback);
  }

  void OnShutdown(std::function<void()> callback) override {
    const std::lock_guard<std::mutex> lock(mu_);
    on_shutdown_ = std::move(callback);
  }

  // While the client is behind, streams have no room. What waits for room runs when it has caught
  // up.
  void SetBehind(bool behind) {
    std::vector<std::function<void()>> waiting;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      behind_ = behind;
      if (!behind) waiting.swap(on_room_);
    }
    for (const auto& on_room : waiting) on_room();
  }
  // What the server does when it ends and waits no longer.
  void Shutdown() {
    std::function<void()> callback;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      callback.swap(on_shutdown_);
    }
    if (callback) callback();
  }
  // What the server does when the client has waited for long.
  void Wait() {
    std::function<void()> callback;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      callback.swap(on_silence_);
    }
    if (callback) callback();
  }
  // What the server does when the client goes.
  void Leave() {
    std::function<void()> callback;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      callback.swap(on_disconnect_);
    }
    if (callback) callback();
  }

  // False if the answer is not complete within some seconds.
  bool WaitForAnswer() {
    return WaitFor([this] { return response_.has_value() || closed_; });
  }
  bool WaitForEvents(size_t count) {
    return WaitFor([this, count] { return events_.size() >= count; });
  }

  // The whole answer; status 0 if there is none.
  HttpResponse response() const {
    const std::lock_guard<std::mutex> lock(mu_);
    return response_.value_or(HttpResponse{.status = 0, .body = "", .headers = {}});
  }
  // Of an event stream.
  HeaderList headers() const {
    const std::lock_guard<std::mutex> lock(mu_);
    return headers_;
  }
  std::vector<std::string> events() const {
    const std::lock_guard<std::mutex> lock(mu_);
    return events_;
  }
  bool closed() const {
    const std::lock_guard<std::mutex> lock(mu_);
    return closed_;
  }
  int num_answers() const {
    const std::lock_guard<std::mutex> lock(mu_);
    return num_answers_;
  }

 private:
  class Writer : public SseWriter {
   public:
    explicit Writer(std::shared_ptr<RecordingResponder> owner) : owner_(std::move(owner)) {}
    void Event(absl::string_view data) override {
      const std::lock_guard<std::mutex> lock(owner_->mu_);
      owner_->events_.emplace_back(data);
      owner_->changed_.notify_all();
    }
    bool AwaitRoom(std::function<void()> on_room) override {
      const std::lock_guard<std::mutex> lock(owner_->mu_);
      if (!owner_->behind_ || owner_->closed_) return false;
      owner_->on_room_.push_back(std::move(on_room));
      return true;
    }
    void Close() override {
      const std::lock_guard<std::mutex> lock(owner_->mu_);
      owner_->closed_ = true;
      owner_->changed_.notify_all();
    }

   private:
    const std::shared_ptr<RecordingResponder> owner_;
  };

  template <typename Condition>
  bool WaitFor(Condition condition) {
    std::unique_lock<std::mutex> lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(20), condition);
  }

  mutable std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  HeaderList headers_;
  std::optional<HttpResponse> response_;
  std::vector<std::string> events_;
  bool closed_ = false;
  int num_answers_ = 0;
  bool behind_ = false;
  std::vector<std::function<void()>> on_room_;
  std::function<void()> on_disconnect_;
  std::function<void()> on_silence_;
  std::function<void()> on_shutdown_;
};

}  // namespace skein
