// A client's bytes: straight over TCP, or over TLS.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

namespace skein {

// Belongs to one thread. At most one read and one write at a time. Whoever starts something keeps
// the stream until it has ended. What ends without TLS's own farewell ends like TCP: with eof.
class ByteStream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Error = boost::system::error_code;

  // Over TCP, or with `tls` over TLS; then Handshake comes first.
  ByteStream(Socket socket, const std::shared_ptr<boost::asio::ssl::context>& tls);

  boost::asio::any_io_executor executor() { return socket().get_executor(); }
  bool secure() const { return tls_ != nullptr; }

  boost::asio::awaitable<void> Handshake(Error& error);
  // At least one byte, unless there is an error.
  boost::asio::awaitable<size_t> ReadSome(boost::asio::mutable_buffer to, Error& error);
  boost::asio::awaitable<size_t> WriteSome(const std::array<boost::asio::const_buffer, 2>& pieces,
                                           Error& error);

  // Calls `ready` once when ReadNow has something, if only an error. A ReadSome may follow while it
  // waits.
  void WaitReadable(std::function<void(const Error&)> ready);
  // What there is now, up to kReadAheadBytes; the error would_block if there is nothing.
  size_t ReadNow(boost::asio::mutable_buffer to, Error& error);
  static constexpr size_t kReadAheadBytes = 4096;

  // Tells the client that nothing more is coming.
  boost::asio::awaitable<void> ShutdownSend(Error& error);
  // What the client still sends, undecrypted, to be thrown away after ShutdownSend.
  boost::asio::awaitable<size_t> Discard(boost::asio::mutable_buffer scratch, Error& error);

  // What is waiting for the client ends with operation_aborted.
  void Cancel();
  void Close();

 private:
  // A read of decrypted bytes that runs beside an answer. TLS alone has one: there, bytes on the
  // socket may be for the protocol itself, and reading them may make it write.
  struct ReadAhead {
    std::array<char, kReadAheadBytes> bytes;
    size_t begin = 0;
    size_t end = 0;
    Error error;
    bool pending = false;
  };
  struct Tls {
    Tls(Socket socket, boost::asio::ssl::context& context);
    boost::asio::ssl::stream<Socket> stream;
    boost::asio::steady_timer arrived;  // never expires; cancelled when a ReadAhead ends
    std::unique_ptr<ReadAhead> ahead;   // null until it is needed
  };

  Socket& socket() { return tls_ == nullptr ? plain_ : tls_->stream.next_layer(); }
  void StartReadAhead(std::function<void(const Error&)> ready);
  // Hands out what a ReadAhead has brought; false if there is none.
  static bool TakeAhead(ReadAhead& ahead, boost::asio::mutable_buffer to, size_t& size,
                        Error& error);

  Socket plain_;              // not used under TLS
  std::unique_ptr<Tls> tls_;  // null: plain TCP
};

}  // namespace skein
