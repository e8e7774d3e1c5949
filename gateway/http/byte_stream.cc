#include "gateway/http/byte_stream.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>

// co_await stands in statements of its own here too: see connection.cc.

namespace skein {
namespace {

namespace asio = boost::asio;
using Error = ByteStream::Error;

// Most clients close their sockets without the farewell that TLS has.
void TakeTruncationForEnd(Error& error) {
  if (error == asio::ssl::error::stream_truncated) error = asio::error::eof;
}

}  // namespace

ByteStream::Tls::Tls(Socket socket, asio::ssl::context& context)
    : stream(std::move(socket), context),
      arrived(stream.get_executor(), asio::steady_timer::time_point::max()) {}

ByteStream::ByteStream(Socket socket, const std::shared_ptr<asio::ssl::context>& tls)
    : plain_(std::move(socket)) {
  // OpenSSL keeps of the context what the connection needs.
  if (tls != nullptr) tls_ = std::make_unique<Tls>(std::move(plain_), *tls);
}

asio::awaitable<void> ByteStream::Handshake(Error& error) {
  co_await tls_->stream.async_handshake(asio::ssl::stream_base::server,
                                        asio::redirect_error(asio::use_awaitable, error));
}

asio::awaitable<size_t> ByteStream::ReadSome(asio::mutable_buffer to, Error& error) {
  size_t size = 0;
  if (tls_ == nullptr) {
    size = co_await plain_.async_read_some(to, asio::redirect_error(asio::use_awaitable, error));
    co_return size;
  }
  while (tls_->ahead != nullptr && tls_->ahead->pending) {
    Error cancelled;
    co_await tls_->arrived.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
  if (tls_->ahead != nullptr && TakeAhead(*tls_->ahead, to, size, error)) co_return size;
  size =
      co_await tls_->stream.async_read_some(to, asio::redirect_error(asio::use_awaitable, error));
  TakeTruncationForEnd(error);
  co_return size;
}

asio::awaitable<size_t> ByteStream::WriteSome(const std::array<asio::const_buffer, 2>& pieces,
                                              Error& error) {
  size_t size = 0;
  if (tls_ == nullptr) {
    size =
        co_await plain_.async_write_some(pieces, asio::redirect_error(asio::use_awaitable, error));
  } else {
    size = co_await tls_->stream.async_write_some(pieces,
                                                  asio::redirect_error(asio::use_awaitable, error));
  }
  co_return size;
}

void ByteStream::WaitReadable(std::function<void(const Error&)> ready) {
  if (tls_ == nullptr) {
    plain_.async_wait(Socket::wait_read, std::move(ready));
  } else {
    StartReadAhead(std::move(ready));
  }
}

void ByteStream::StartReadAhead(std::function<void(const Error&)> ready) {
  if (tls_->ahead == nullptr) tls_->ahead = std::make_unique<ReadAhead>();
  ReadAhead& ahead = *tls_->ahead;
  if (ahead.pending || ahead.begin < ahead.end || ahead.error) {
    asio::post(executor(), [ready = std::move(ready)] { ready(Error()); });
    return;
  }
  ahead.pending = true;
  tls_->stream.async_read_some(
      asio::buffer(ahead.bytes), [this, ready = std::move(ready)](Error error, size_t size) {
        TakeTruncationForEnd(error);
        ReadAhead& ended = *tls_->ahead;
        ended.pending = false;
        ended.begin = 0;
        ended.end = size;
        // What was cancelled has brought nothing, and the next read may bring more.
        ended.error = error == asio::error::operation_aborted ? Error() : error;
        tls_->arrived.cancel();
        ready(error == asio::error::operation_aborted ? error : Error());
      });
}

bool ByteStream::TakeAhead(ReadAhead& ahead, asio::mutable_buffer to, size_t& size, Error& error) {
  if (ahead.begin == ahead.end) {
    error = std::exchange(ahead.error, Error());
    return error.failed();
  }
  size = std::min(to.size(), ahead.end - ahead.begin);
  std::memcpy(to.data(), ahead.bytes.data() + ahead.begin, size);
  ahead.begin += size;
  return true;
}

size_t ByteStream::ReadNow(asio::mutable_buffer to, Error& error) {
  if (tls_ == nullptr) {
    plain_.non_blocking(true, error);
    return error ? 0 : plain_.read_some(to, error);
  }
  size_t size = 0;
  const ReadAhead* ahead = tls_->ahead.get();
  if (ahead == nullptr || ahead->pending || !TakeAhead(*tls_->ahead, to, size, error)) {
    error = asio::error::would_block;
  }
  return size;
}

asio::awaitable<void> ByteStream::ShutdownSend(Error& error) {
  if (tls_ != nullptr) {
    // An error here is the client's impatience: the socket is shut down in any case.
    Error ignored;
    co_await tls_->stream.async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
  }
  socket().shutdown(Socket::shutdown_send, error);
}

asio::awaitable<size_t> ByteStream::Discard(asio::mutable_buffer scratch, Error& error) {
  const size_t size =
      co_await socket().async_read_some(scratch, asio::redirect_error(asio::use_awaitable, error));
  co_return size;
}

void ByteStream::Cancel() {
  Error ignored;
  socket().cancel(ignored);
}

void ByteStream::Close() {
  Error ignored;
  socket().close(ignored);
}

}  // namespace skein
