// Clients that send gRPC requests which never end, over connections of their own, in plain HTTP/2:
// gRPC's own client sends none that are cut short or longer than they may be.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace skein {

struct UploadFloodOptions {
  int port = 0;
  int connections = 1;
  int streams = 1;  // of each connection, at a time
  std::string path = "/skein.v1.InferenceService/Generate";
  std::string key = {};              // none: no authorization
  uint32_t declared_bytes = 0;       // length of the message, as its prefix says
  uint64_t sent_bytes = 0;           // of each stream at most, prefix included
  bool half_close = false;           // ends at once, without a message
  bool again = false;                // a new stream for each that the server ends
  int64_t max_bytes_per_second = 0;  // of each connection; 0: as fast as the server takes it
};

// Sends from the constructor to the destructor, one thread for each connection.
class UploadFlood {
 public:
  explicit UploadFlood(const UploadFloodOptions& options);
  ~UploadFlood();
  UploadFlood(const UploadFlood&) = delete;
  UploadFlood& operator=(const UploadFlood&) = delete;

  uint64_t sent_bytes() const { return sent_bytes_; }   // of messages
  int64_t num_begun() const { return num_begun_; }      // streams
  int64_t num_ended() const { return num_ended_; }      // by the server
  int num_connected() const { return num_connected_; }  // now

 private:
  class Connection;

  const UploadFloodOptions options_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> sent_bytes_ = 0;
  std::atomic<int64_t> num_begun_ = 0;
  std::atomic<int64_t> num_ended_ = 0;
  std::atomic<int> num_connected_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace skein
