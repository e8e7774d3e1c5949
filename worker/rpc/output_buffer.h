// Messages of one Generate call that wait for the message before them to be written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "skein/v1/inference.pb.h"

namespace skein {

// Not thread-safe. A reader that lags gets fewer and larger messages, so what is held is bounded by
// the output that the request may have.
class OutputBuffer {
 public:
  // A message does not grow any more once it has so much; clients accept 4 MiB by default.
  static constexpr size_t kFullBytes = 64 * 1024;

  // Once, before all chunks. With `echo`, the first text of each of `num_choices` choices follows.
  void AddStarted(v1::Started started, const std::string& echo, int num_choices);
  // Joins the last waiting message of the same choice, or waits as a new one.
  void AddChunk(v1::GenerateResponse chunk);
  // Once, after all chunks.
  void AddUsage(v1::Usage usage);

  bool empty() const { return waiting_.empty(); }
  // The oldest message. The buffer must not be empty.
  v1::GenerateResponse Take();
  void Clear() { waiting_.clear(); }

 private:
  struct Waiting {
    v1::GenerateResponse message;
    size_t bytes = 0;  // kept here because counting a message's size walks all of it
  };
  Waiting* FindOpen(uint32_t choice);

  std::deque<Waiting> waiting_;
};

}  // namespace skein
