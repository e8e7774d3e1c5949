#include "tests/testing/upload_flood.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace skein {
namespace {

// RFC 9113.
enum FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
};
constexpr uint8_t kAck = 1, kEndStream = 1, kEndHeaders = 4;
constexpr size_t kFrameHeaderBytes = 9;
constexpr size_t kMaxFrameBytes = 16384;
constexpr uint16_t kInitialWindowSize = 4;
constexpr size_t kOutputBytes = 256 << 10;  // made at a time

void AppendBigEndian(uint64_t value, int bytes, std::string& out) {
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint32_t ReadBigEndian(absl::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

void AppendFrame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload,
                 std::string& out) {
  AppendBigEndian(payload.size(), 3, out);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  AppendBigEndian(stream, 4, out);
  out.append(payload.data(), payload.size());
}

// RFC 7541, 5.1 and 5.2: without Huffman codes, a prefix of 7 bits.
void AppendText(absl::string_view text, std::string& out) {
  size_t rest = text.size();
  if (rest < 127) {
    out.push_back(static_cast<char>(rest));
  } else {
    out.push_back(127);
    for (rest -= 127; rest >= 128; rest /= 128) out.push_back(static_cast<char>(rest % 128 + 128));
    out.push_back(static_cast<char>(rest));
  }
  out.append(text.data(), text.size());
}

std::string HeaderBlock(const UploadFloodOptions& options) {
  std::vector<std::pair<std::string, std::string>> headers = {
      {":method", "POST"},     {":scheme", "http"}, {":path", options.path},
      {":authority", "flood"}, {"te", "trailers"},  {"content-type", "application/grpc"}};
  if (!options.key.empty()) headers.emplace_back("authorization", "Bearer " + options.key);
  std::string block;
  for (const auto& [name, value] : headers) {
    block.push_back(0);  // a literal that is not indexed
    AppendText(name, block);
    AppendText(value, block);
  }
  return block;
}

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd);
    return -1;
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

}  // namespace

class UploadFlood::Connection {
 public:
  explicit Connection(UploadFlood& flood) : flood_(flood), thread_([this] { Run(); }) {}
  ~Connection() { thread_.join(); }

 private:
  struct Stream {
    int64_t window = 0;
    uint64_t sent_bytes = 0;
  };

  void Run() {
    const int fd = Connect(flood_.options_.port);
    if (fd < 0) return;
    ++flood_.num_connected_;
    begin_ = absl::Now();
    output_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    AppendFrame(kSettings, 0, 0, "", output_);
    for (int i = 0; i < flood_.options_.streams; ++i) BeginStream();
    while (!flood_.stopping_ && Exchange(fd)) {
    }
    close(fd);
    --flood_.num_connected_;
  }

  void BeginStream() {
    const uint8_t flags = kEndHeaders | (flood_.options_.half_close ? kEndStream : 0);
    AppendFrame(kHeaders, flags, next_stream_, HeaderBlock(flood_.options_), output_);
    streams_[next_stream_].window = initial_window_;
    next_stream_ += 2;
    ++flood_.num_begun_;
  }

  // False once the connection is broken.
  bool Exchange(int fd) {
    AppendData();
    pollfd poll_fd{fd, static_cast<short>(output_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
    poll(&poll_fd, 1, 20);
    if ((poll_fd.revents & POLLIN) != 0) {
      char bytes[65536];
      const ssize_t size = recv(fd, bytes, sizeof(bytes), 0);
      if (size == 0 || (size < 0 && errno != EAGAIN)) return false;
      if (size > 0) input_.append(bytes, static_cast<size_t>(size));
      if (!ReadFrames()) return false;
    }
    if (!output_.empty()) {
      const ssize_t size = send(fd, output_.data(), output_.size(), MSG_NOSIGNAL);
      if (size < 0 && errno != EAGAIN) return false;
      if (size > 0) output_.erase(0, static_cast<size_t>(size));
    }
    return (poll_fd.revents & (POLLERR | POLLHUP)) == 0;
  }

  int64_t Allowance() const {
    const int64_t rate = flood_.options_.max_bytes_per_second;
    if (rate == 0) return int64_t{1} << 62;
    return static_cast<int64_t>(absl::ToDoubleSeconds(absl::Now() - begin_) *
                                static_cast<double>(rate)) -
           data_bytes_;
  }

  void AppendData() {
    const UploadFloodOptions& options = flood_.options_;
    for (auto& [id, stream] : streams_) {
      if (output_.size() >= kOutputBytes) return;
      const auto left = static_cast<int64_t>(options.sent_bytes - stream.sent_bytes);
      const int64_t size = std::min(
          {left, stream.window, window_, Allowance(), static_cast<int64_t>(kMaxFrameBytes)});
      if (size <= 0) continue;
      std::string payload;
      if (stream.sent_bytes == 0) {
        payload.push_back(0);  // not compressed
        AppendBigEndian(options.declared_bytes, 4, payload);
      }
      payload.resize(static_cast<size_t>(size), 'x');
      AppendFrame(kData, 0, id, payload, output_);
      stream.sent_bytes += static_cast<uint64_t>(size);
      stream.window -= size;
      window_ -= size;
      data_bytes_ += size;
      flood_.sent_bytes_ += static_cast<uint64_t>(size);
    }
  }

  bool ReadFrames() {
    size_t at = 0;
    while (input_.size() - at >= kFrameHeaderBytes) {
      const absl::string_view head = absl::string_view(input_).substr(at, kFrameHeaderBytes);
      const size_t size = ReadBigEndian(head.substr(0, 3));
      if (input_.size() - at < kFrameHeaderBytes + size) break;
      const absl::string_view payload =
          absl::string_view(input_).substr(at + kFrameHeaderBytes, size);
      const auto flags = static_cast<uint8_t>(head[4]);
      if (!OnFrame(static_cast<uint8_t>(head[3]), flags, ReadBigEndian(head.substr(5)), payload)) {
        return false;
      }
      at += kFrameHeaderBytes + size;
    }
    input_.erase(0, at);
    return true;
  }

  bool OnFrame(uint8_t type, uint8_t flags, uint32_t id, absl::string_view payload) {
    switch (type) {
      case kGoAway:
        return false;
      case kRstStream:
        EndStream(id);
        break;
      case kHeaders:
      case kData:
        if ((flags & kEndStream) != 0) EndStream(id);
        break;
      case kPing:
        if ((flags & kAck) == 0) AppendFrame(kPing, kAck, 0, payload, output_);
        break;
      case kWindowUpdate:
        if (id == 0) {
          window_ += ReadBigEndian(payload);
        } else if (const auto stream = streams_.find(id); stream != streams_.end()) {
          stream->second.window += ReadBigEndian(payload);
        }
        break;
      case kSettings:
        if ((flags & kAck) == 0) OnSettings(payload);
        break;
      default:
        break;
    }
    return true;
  }

  void OnSettings(absl::string_view payload) {
    for (; payload.size() >= 6; payload.remove_prefix(6)) {
      if (ReadBigEndian(payload.substr(0, 2)) != kInitialWindowSize) continue;
      const int64_t window = ReadBigEndian(payload.substr(2, 4));
      for (auto& [id, stream] : streams_) stream.window += window - initial_window_;
      initial_window_ = window;
    }
    AppendFrame(kSettings, kAck, 0, "", output_);
  }

  void EndStream(uint32_t id) {
    if (streams_.erase(id) == 0) return;
    ++flood_.num_ended_;
    if (flood_.options_.again) BeginStream();
  }

  UploadFlood& flood_;
  // Used by the thread alone.
  absl::Time begin_;
  std::string input_, output_;
  std::map<uint32_t, Stream> streams_;
  uint32_t next_stream_ = 1;
  int64_t initial_window_ = 65535;
  int64_t window_ = 65535;
  int64_t data_bytes_ = 0;
  std::thread thread_;
};

UploadFlood::UploadFlood(const UploadFloodOptions& options) : options_(options) {
  for (int i = 0; i < options.connections; ++i) {
    connections_.push_back(std::make_unique<Connection>(*this));
  }
}

UploadFlood::~UploadFlood() {
  stopping_ = true;
  connections_.clear();
}

}  // namespace skein
