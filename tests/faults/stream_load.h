// Many streams at once through a gateway to scripted workers, each accounted for to its last byte.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "tests/testing/http_client.h"

namespace skein {

// How one stream ended. Whatever is done to workers and networks, it is one of the first three.
enum class StreamEnd {
  kWhole,    // the whole text, with its finish reason and [DONE]
  kError,    // a prefix of the text, then an event with an error
  kRefused,  // no stream: an error with its status
  kCut,      // the connection ended without a word
  kHung,     // nothing came for a long time
  kWrong,    // text that the model did not write, or an end that is none
};

struct StreamResult {
  StreamEnd end = StreamEnd::kHung;
  std::string detail;  // of the error
  int http_status = 0;
  absl::Time ended;
  size_t chars = 0;
};

// Totals by kind of end; what errors said, for people to read.
struct StreamTally {
  std::map<StreamEnd, int> counts;
  std::map<std::string, int> details;

  int Count(StreamEnd end) const;
  // Ends that no fault excuses.
  int Bad() const {
    return Count(StreamEnd::kCut) + Count(StreamEnd::kHung) + Count(StreamEnd::kWrong);
  }
  std::string ToString() const;
};

class StreamLoad {
 public:
  struct Options {
    int port = 0;
    int streams = 200;
    int tokens = 200;                             // of each stream
    absl::Duration patience = absl::Seconds(60);  // for the next event
    // Instead of a plain connection to `port`.
    std::function<std::unique_ptr<HttpClient>()> connect = nullptr;
  };
  // Starts all streams.
  explicit StreamLoad(const Options& options);

  // True once `count` streams have text, false if that takes longer than `timeout`.
  bool WaitForText(int count, absl::Duration timeout) const;
  // Streams that have not ended.
  int open() const { return open_; }
  // Waits for all of them. One result per stream.
  const std::vector<StreamResult>& Wait();
  StreamTally Tally();

 private:
  StreamResult Run(int index);

  const Options options_;
  std::atomic<int> with_text_{0};
  std::atomic<int> open_;
  std::vector<StreamResult> results_;
  std::vector<std::jthread> threads_;
};

// What a scripted worker answers to a prompt of `prompt_chars` characters.
std::string ScriptedAnswer(int prompt_chars, int tokens);

// One request, alone: its text, or its error.
absl::StatusOr<std::string> AskOnce(int port, int prompt_chars, int tokens);

}  // namespace skein
