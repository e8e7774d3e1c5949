// Stop strings and a reply: OPTIONS 1f STOPS 1f CUTS 1f REPLY. STOPS is a list; a byte of CUTS is
// the length of a piece. The text that a client gets must not depend on how the reply was cut into
// tokens, and is what a search over the whole reply finds.
#include <algorithm>
#include <string>
#include <vector>

#include "common/text/text_assembler.h"
#include "common/text/utf8.h"
#include "tests/fuzz/fuzz.h"

namespace {

using skein::TextAssembler;
using skein::fuzz::Parts;
using skein::fuzz::Require;

struct Reply {
  std::string text;
  std::string matched_stop;
  bool stopped = false;

  bool operator==(const Reply&) const = default;
};

struct Setting {
  std::vector<std::string> stops;
  TextAssembler::Options options;
};

Reply Assemble(const Setting& setting, absl::string_view reply, absl::string_view cuts) {
  TextAssembler assembler(skein::MakeStopMatcher(setting.stops), setting.options);
  Reply result;
  size_t cut = 0;
  while (!reply.empty() && !assembler.stopped()) {
    const size_t length =
        cuts.empty() ? reply.size() : static_cast<uint8_t>(cuts[cut++ % cuts.size()]);
    const std::string text = assembler.Append(reply.substr(0, length));
    Require(skein::ValidUtf8Prefix(text) == text.size(), "every piece of text is UTF-8", text);
    result.text += text;
    reply.remove_prefix(std::min(length, reply.size()));
  }
  result.text += assembler.Finish();
  result.stopped = assembler.stopped();
  result.matched_stop = assembler.matched_stop();
  return result;
}

// The stop string that ends first; of those that end there, the longest.
Reply Expected(const Setting& setting, absl::string_view reply) {
  Reply result;
  size_t end = reply.size();
  for (size_t length = 1; length <= reply.size() && !result.stopped; ++length) {
    const std::string so_far(reply.substr(0, length));
    for (const std::string& stop : setting.stops) {
      const bool ends = !stop.empty() && stop.size() <= length &&
                        so_far.compare(length - stop.size(), stop.size(), stop) == 0;
      if (!ends || stop.size() <= result.matched_stop.size()) continue;
      result.stopped = true;
      result.matched_stop = stop;
      end = setting.options.include_stop ? length : length - stop.size();
    }
  }
  absl::string_view text = reply.substr(0, end);
  while (setting.options.strip_leading_space && !text.empty() && text[0] == ' ') {
    text.remove_prefix(1);
  }
  result.text = skein::ReplaceInvalidUtf8(text);
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Parts parts(skein::fuzz::Text(data, size));
  const absl::string_view options = parts.Next();
  Setting setting;
  setting.options.include_stop = options.find('i') != absl::string_view::npos;
  setting.options.strip_leading_space = options.find('s') != absl::string_view::npos;
  absl::string_view stops = parts.Next();
  while (!stops.empty() && setting.stops.size() < 16) {
    setting.stops.emplace_back(Parts::NextItem(stops).substr(0, 64));
  }
  std::string cuts(parts.Next());
  cuts.erase(std::remove(cuts.begin(), cuts.end(), '\0'), cuts.end());
  const absl::string_view reply = parts.Rest().substr(0, 512);

  const Reply whole = Assemble(setting, reply, "");
  Require(whole == Expected(setting, reply), "the text is what a search over the whole reply finds",
          whole.text);
  Require(Assemble(setting, reply, "\x01") == whole, "byte by byte it is the same");
  Require(Assemble(setting, reply, cuts) == whole, "however it is cut it is the same");
  return 0;
}
