// A text/event-stream answer as skeinctl reads it: CUTS 1f BYTES. A byte of CUTS is the length of a
// piece.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tools/skeinctl/sse_parser.h"

namespace {

std::vector<std::string> Events(absl::string_view bytes, absl::string_view cuts) {
  std::vector<std::string> events;
  skein::ctl::SseParser parser;
  for (size_t cut = 0; !bytes.empty(); ++cut) {
    const size_t wanted =
        cuts.empty() ? bytes.size() : static_cast<uint8_t>(cuts[cut % cuts.size()]) + size_t{1};
    const size_t length = std::min(wanted, bytes.size());
    parser.Feed(bytes.substr(0, length),
                [&events](absl::string_view data) { events.emplace_back(data); });
    bytes.remove_prefix(length);
  }
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  skein::fuzz::Parts parts(skein::fuzz::Text(data, size));
  const absl::string_view cuts = parts.Next();
  const std::vector<std::string> whole = Events(parts.Rest(), "");
  skein::fuzz::Require(Events(parts.Rest(), cuts) == whole, "events do not depend on the pieces");
  skein::fuzz::Require(Events(parts.Rest(), absl::string_view("\0", 1)) == whole,
                       "byte by byte they are the same");
  return 0;
}
