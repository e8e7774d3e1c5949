#include "gateway/endpoints/cors.h"

#include <algorithm>

namespace skein {
namespace {

constexpr char kExposed[] =
    "x-request-id, retry-after, x-should-retry, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";
constexpr char kMethods[] = "GET, HEAD, POST, DELETE";
constexpr char kMaxAgeSeconds[] = "600";

}  // namespace

CorsAnswer AnswerCors(const HttpRequest& request,
                      const google::protobuf::RepeatedPtrField<std::string>& origins) {
  CorsAnswer answer;
  if (origins.empty()) return answer;
  const bool everybody = std::find(origins.begin(), origins.end(), "*") != origins.end();
  // For caches between: what they keep is for one origin, or for requests without one.
  if (!everybody) answer.headers.emplace_back("Vary", "Origin");
  const std::string origin(request.Header("origin"));
  const bool allowed =
      everybody || std::find(origins.begin(), origins.end(), origin) != origins.end();
  if (origin.empty() || !allowed) return answer;
  answer.headers.emplace_back("Access-Control-Allow-Origin", everybody ? "*" : origin);
  const bool asks = request.method == Method::kOptions &&
                    !request.Header("access-control-request-method").empty();
  if (!asks) {
    answer.headers.emplace_back("Access-Control-Expose-Headers", kExposed);
    return answer;
  }
  answer.preflight = true;
  answer.headers.emplace_back("Access-Control-Allow-Methods", kMethods);
  // Clients bring headers of their own, such as x-stainless-os; none of them does harm here.
  const std::string wanted(request.Header("access-control-request-headers"));
  if (!wanted.empty()) answer.headers.emplace_back("Access-Control-Allow-Headers", wanted);
  answer.headers.emplace_back("Access-Control-Max-Age", kMaxAgeSeconds);
  return answer;
}

}  // namespace skein
