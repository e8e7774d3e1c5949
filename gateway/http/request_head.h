// From Beast's view of a request's head to ours: what is taken over, and what is refused.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "gateway/http/http_types.h"

namespace skein {

using BeastRequest = boost::beast::http::request<boost::beast::http::string_body>;

// Fills method, path, query, headers, request_id and trace of `request`. Returns the refusal if the
// head cannot be served: a bad target, no Host in HTTP/1.1, a transfer coding or an expectation
// that we do not know.
std::optional<HttpResponse> TakeHead(const BeastRequest& head, HttpRequest& request);

// The refusal that answers a parser's error: 413, 431 or 400.
HttpResponse RefusalOf(const boost::system::error_code& error);

// The client's id if it is sane, else a new one.
std::string ChooseRequestId(absl::string_view from_client);

// A body that comes in chunks ends with "0\r\n\r\n" at least. Beast's parser must not be given
// fewer bytes of one: it aborts the process over "0\r\n\r".
inline constexpr size_t kLeastChunkedBytes = 5;

// Drops the empty lines that may stand before a request. True if something else follows.
bool SkipEmptyLines(boost::beast::flat_buffer& buffer);

}  // namespace skein
