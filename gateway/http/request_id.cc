#include "gateway/http/request_id.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace skein {
namespace {

constexpr size_t kMaxIdBytes = 128;
constexpr absl::string_view kPunctuation = "-_.:/+=@";

bool IsIdCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         kPunctuation.find(c) != absl::string_view::npos;
}

}  // namespace

bool IsSaneRequestId(absl::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes &&
         std::all_of(id.begin(), id.end(), IsIdCharacter);
}

std::string NewRequestId() {
  thread_local std::mt19937_64 random{std::random_device{}() ^
                                      (uint64_t{std::random_device{}()} << 32)};
  return absl::StrFormat("req-%016x%08x", random(), random() & 0xffffffffu);
}

}  // namespace skein
