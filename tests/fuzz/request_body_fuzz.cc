// The JSON bodies of the endpoints that read one: ENDPOINT 1f BODY. The last letter of ENDPOINT
// chooses.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/request_decoding.h"

namespace {

absl::string_view PathOf(absl::string_view endpoint) {
  switch (endpoint.empty() ? '\0' : endpoint.back()) {
    case 'p':
      return "/v1/completions";
    case 't':
      return "/v1/tokenize";
    case 'd':
      return "/v1/detokenize";
    default:
      return "/v1/chat/completions";
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  skein::fuzz::Parts parts(skein::fuzz::Text(data, size));
  const absl::string_view path = PathOf(parts.Next());
  skein::fuzz::CheckBody(path, parts.Rest());
  return 0;
}
