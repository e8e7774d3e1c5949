#include "gateway/http/server_shard.h"

#include <chrono>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <boost/asio/post.hpp>

#include "common/base/log.h"

namespace skein {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kBacklog = 4096;
// More connections than these at a time are closed without being told why.
constexpr int kMaxRefusals = 256;
// After an accept that failed, usually for want of file descriptors.
constexpr std::chrono::milliseconds kAcceptPause{100};

// Of a connection, besides what is on its way to the client.
constexpr int kMaxUnsentInSystem = 32 << 10;

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

}  // namespace

ServerShard::ServerShard(const ConnectionContext& context, ConnectionCount& count,
                         absl::Duration tick)
    : context_(context), count_(count), tick_(tick) {}

ServerShard::~ServerShard() {
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<tcp::endpoint> ServerShard::Listen(const tcp::endpoint& endpoint) {
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.set_option(ReusePort(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(kBacklog, error);
  if (error) return absl::UnavailableError(absl::StrCat("listen: ", error.message()));
  return acceptor_.local_endpoint();
}

void ServerShard::Start(const std::string& thread_name) {
  pulse_ = context_.options.heartbeats->Add(thread_name);
  Accept();
  ScheduleTick();
  thread_ = std::thread([this, thread_name] {
    pthread_setname_np(pthread_self(), thread_name.substr(0, 15).c_str());
    io_.run();
  });
}

void ServerShard::Drain() {
  asio::post(io_, [this] {
    draining_ = true;
    for (const std::shared_ptr<Connection>& connection : connections_) {
      if (connection->Drain()) awaited_.insert(connection);
    }
    CheckProgress();
  });
}

bool ServerShard::WaitUntilDrained(absl::Time deadline) {
  std::unique_lock<std::mutex> lock(mu_);
  return progress_.wait_until(lock, absl::ToChronoTime(deadline), [this] { return drained_; });
}

void ServerShard::Close() {
  asio::post(io_, [this] {
    closed_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    accept_timer_.cancel();
    for (const std::shared_ptr<Connection>& connection : connections_) connection->CloseIfIdle();
    CheckProgress();
  });
}

bool ServerShard::WaitUntilEmpty(absl::Time deadline) {
  std::unique_lock<std::mutex> lock(mu_);
  return progress_.wait_until(lock, absl::ToChronoTime(deadline), [this] { return empty_; });
}

void ServerShard::Shutdown() {
  asio::post(io_, [this] {
    for (const std::shared_ptr<Connection>& connection : connections_) connection->Shutdown();
  });
}

void ServerShard::Abort() {
  asio::post(io_, [this] {
    for (const std::shared_ptr<Connection>& connection : connections_) connection->Abort();
  });
}

void ServerShard::Accept() {
  acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
    if (closed_) return;
    if (error && error != asio::error::connection_aborted) {
      RetryAcceptLater(error.message());
      return;
    }
    if (!error) Accepted(std::move(socket));
    Accept();
  });
}

void ServerShard::Accepted(tcp::socket socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  // What a client is slow to take waits where it is bounded, and not in the system's megabytes; and
  // the server sees the client take it by less than those.
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kMaxUnsentInSystem,
             sizeof(kMaxUnsentInSystem));
  if (count_.open.fetch_add(1) >= context_.options.max_connections) {
    count_.open.fetch_sub(1);
    Refuse(std::move(socket));
    return;
  }
  context_.metrics.connections.Increment();
  auto connection = std::make_shared<Connection>(std::move(socket), context_);
  connections_.insert(connection);
  if (draining_) connection->Drain();
  connection->Start([this, connection] {
    count_.open.fetch_sub(1);
    context_.metrics.connections.Decrement();
    Ended(connection);
  });
}

void ServerShard::Refuse(tcp::socket socket) {
  context_.metrics.rejected_connections.Increment();
  // Saying it over TLS would cost as much as serving a request.
  if (context_.tls != nullptr) return;
  if (count_.refused.fetch_add(1) >= kMaxRefusals) {
    count_.refused.fetch_sub(1);
    return;
  }
  auto connection = std::make_shared<Connection>(std::move(socket), context_);
  connections_.insert(connection);
  connection->Refuse([this, connection] {
    count_.refused.fetch_sub(1);
    Ended(connection);
  });
}

void ServerShard::RetryAcceptLater(const std::string& reason) {
  LogWarning("accept failed", {{"reason", reason}});
  accept_timer_.expires_after(kAcceptPause);
  accept_timer_.async_wait([this](const error_code&) {
    if (!closed_) Accept();
  });
}

void ServerShard::Ended(const std::shared_ptr<Connection>& connection) {
  connections_.erase(connection);
  awaited_.erase(connection);
  CheckProgress();
}

void ServerShard::ScheduleTick() {
  tick_timer_.expires_after(absl::ToChronoMicroseconds(tick_));
  tick_timer_.async_wait([this](const error_code& cancelled) {
    if (cancelled) return;
    pulse_->Beat();
    const Connection::Clock::time_point now = Connection::Clock::now();
    for (const std::shared_ptr<Connection>& connection : connections_) connection->Tick(now);
    if (!closed_ || !connections_.empty()) ScheduleTick();
  });
}

void ServerShard::CheckProgress() {
  if (!draining_ || !awaited_.empty()) return;
  const bool empty = closed_ && connections_.empty();
  if (empty) tick_timer_.cancel();
  const std::lock_guard<std::mutex> lock(mu_);
  drained_ = true;
  empty_ = empty;
  progress_.notify_all();
}

}  // namespace skein
