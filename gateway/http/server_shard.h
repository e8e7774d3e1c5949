// One I/O thread of an HttpServer: its listening socket and the connections that came through it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "gateway/http/connection.h"

namespace skein {

// Over all shards of a server.
struct ConnectionCount {
  std::atomic<int> open{0};
  std::atomic<int> refused{0};  // being told so
};

// Calls follow: Listen, Start, Drain, WaitUntilDrained, Close, WaitUntilEmpty, Abort, destruction,
// which joins the thread.
// These come from the server's owner; everything else runs on the shard's thread.
class ServerShard {
 public:
  ServerShard(const ConnectionContext& context, ConnectionCount& count, absl::Duration tick);
  ~ServerShard();

  // Returns the endpoint with its real port.
  absl::StatusOr<boost::asio::ip::tcp::endpoint> Listen(
      const boost::asio::ip::tcp::endpoint& endpoint);
  void Start(const std::string& thread_name);
  // Connections end after one answer, idle ones at once. New ones are still accepted, so that their
  // clients hear why they are not served.
  void Drain();
  // False if answers that were in progress when the drain began are so at the deadline.
  bool WaitUntilDrained(absl::Time deadline);
  // Tells the handlers whose answers the drain has waited for in vain.
  void Shutdown();
  // Accepts nothing more.
  void Close();
  // False if connections are left at the deadline.
  bool WaitUntilEmpty(absl::Time deadline);
  void Abort();

 private:
  void Accept();
  void Accepted(boost::asio::ip::tcp::socket socket);
  void Refuse(boost::asio::ip::tcp::socket socket);
  void RetryAcceptLater(const std::string& reason);
  void Ended(const std::shared_ptr<Connection>& connection);
  void ScheduleTick();
  void CheckProgress();

  const ConnectionContext& context_;
  ConnectionCount& count_;
  const absl::Duration tick_;

  // Owned by the shard's thread.
  boost::asio::io_context io_{1};
  boost::asio::ip::tcp::acceptor acceptor_{io_};
  boost::asio::steady_timer tick_timer_{io_};
  boost::asio::steady_timer accept_timer_{io_};
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::unordered_set<std::shared_ptr<Connection>> awaited_;  // of them, by the drain
  std::shared_ptr<Heartbeats::Pulse> pulse_;
  bool draining_ = false;
  bool closed_ = false;

  std::mutex mu_;
  std::condition_variable progress_;
  bool drained_ = false;  // guarded by mu_: no answer is awaited any more
  bool empty_ = false;    // guarded by mu_: closed, and no connection is left
  std::thread thread_;
};

}  // namespace skein
