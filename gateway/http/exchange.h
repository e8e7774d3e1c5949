// One request and its answer: the meeting point of the connection, which lives on an I/O thread,
// and the handler, which may answer from any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/http/http_types.h"

namespace skein {

// Thread-safe. Calls of the connection follow: NewResponder, Take* and Silence*, Disconnect at
// most once, Detach.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  // `wake` tells the connection that Take has something new. It is called with a lock held, at most
  // once between two Takes and never after Detach; it must not call back.
  //
  // A stream has room while no more than `max_unsent_bytes` wait for the connection or are being
  // sent by it.
  explicit Exchange(std::function<void()> wake, size_t max_unsent_bytes = 64 << 10)
      : max_unsent_bytes_(max_unsent_bytes), wake_(std::move(wake)) {}

  // What the handler gets.
  std::shared_ptr<HttpResponder> NewResponder();

  // What the handler has given since the last Take.
  struct Output {
    std::optional<HttpResponse> response;  // a whole answer
    bool stream = false;                   // an event stream has been started, now or earlier
    HeaderList headers;                    // of the stream; its first Output has them
    std::string events;                    // of the stream, ready to be sent
    bool closed = false;                   // the stream ends after `events`
    bool broken = false;                   // the stream's writer was dropped without Close
  };
  // The events of the last one have been sent by then. May run what waits for room, here.
  Output Take();

  // The client has left: runs the handler's callback, here.
  void Disconnect();
  // The client has waited for long and there is no answer: runs the handler's callback, here.
  void Silence();
  // The server ends and waits no longer: runs the handler's callback, here.
  void Shutdown();
  // The answer is complete or cannot be completed: later calls of the handler do nothing.
  void Detach();

 private:
  friend class ExchangeResponder;
  friend class ExchangeWriter;

  void AddHeader(std::string name, std::string value);
  void Send(HttpResponse response);
  bool StartEvents();  // false if the answer was given already
  void OnDisconnect(std::function<void()> callback);
  void OnSilence(std::function<void()> callback);
  void OnShutdown(std::function<void()> callback);
  void AddEvent(absl::string_view data);
  bool AwaitRoom(std::function<void()> on_room);
  void CloseStream(bool broken);
  void ResponderDropped();
  void AnswerLocked(HttpResponse response);
  void WakeLocked();

  using Callbacks = std::vector<std::function<void()>>;

  const size_t max_unsent_bytes_;

  std::mutex mu_;
  // Guarded by mu_.
  std::function<void()> wake_;  // empty once detached
  std::function<void()> on_disconnect_;
  std::function<void()> on_silence_;
  std::function<void()> on_shutdown_;
  HeaderList headers_;  // until there is an answer
  Output output_;
  size_t sending_bytes_ = 0;  // of events that the connection has taken
  Callbacks on_room_;
  bool answered_ = false;
  bool disconnected_ = false;
  bool detached_ = false;
  bool woken_ = false;  // wake_ was called after the last Take
};

}  // namespace skein
