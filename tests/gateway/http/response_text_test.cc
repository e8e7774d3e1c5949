#include "gateway/http/response_text.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ResponseFrame FrameOf(size_t length) {
  ResponseFrame frame;
  frame.request_id = "id";
  frame.content_length = length;
  frame.date = absl::FromUnixSeconds(784111777);
  return frame;
}

TEST(ResponseTextTest, WritesTheWholeHead) {
  HttpResponse response;
  response.status = 404;
  response.headers = {{"allow", "GET"}};
  EXPECT_EQ(FormatHead(response, FrameOf(5)),
            "HTTP/1.1 404 Not Found\r\nserver: skein\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "x-request-id: id\r\nallow: GET\r\ncontent-type: application/json\r\n"
            "content-length: 5\r\n\r\n");
}

TEST(ResponseTextTest, AHeaderCannotBreakTheHead) {
  HttpResponse response;
  response.headers = {{"good", "1"}, {"bad", "1\r\nset-cookie: x"}, {"ba\nd", "1"}};
  const std::string head = FormatHead(response, FrameOf(0));
  EXPECT_THAT(head, HasSubstr("good: 1\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("bad")));
  EXPECT_THAT(head, Not(HasSubstr("cookie")));
}

TEST(ResponseTextTest, FramingFollowsVersionStatusAndLength) {
  HttpResponse response;
  ResponseFrame frame = FrameOf(0);
  response.status = 204;
  EXPECT_THAT(FormatHead(response, frame), Not(HasSubstr("content-")));
  response.status = 200;
  frame.content_length.reset();
  EXPECT_THAT(FormatHead(response, frame), HasSubstr("transfer-encoding: chunked\r\n"));
  frame.http_1_0 = true;
  EXPECT_THAT(FormatHead(response, frame), Not(HasSubstr("transfer-encoding")));
  EXPECT_THAT(FormatHead(response, frame), HasSubstr("connection: keep-alive\r\n"));
  frame.keep_alive = false;
  EXPECT_THAT(FormatHead(response, frame), HasSubstr("connection: close\r\n"));
}

TEST(ResponseTextTest, AppendsChunks) {
  std::string out;
  AppendChunk("", out);
  EXPECT_EQ(out, "");
  AppendChunk("hello", out);
  AppendChunk(std::string(26, 'x'), out);
  EXPECT_EQ(out, "5\r\nhello\r\n1a\r\n" + std::string(26, 'x') + "\r\n");
}

TEST(ResponseTextTest, ErrorsAreEscapedObjects) {
  const HttpResponse response = ErrorResponse(400, "bad", "a \"quoted\"\nline");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(
      response.body,
      "{\"error\":{\"message\":\"a \\\"quoted\\\"\\nline\",\"type\":\"invalid_request_error\","
      "\"param\":null,\"code\":\"bad\"}}");
  EXPECT_THAT(ErrorResponse(503, "x", "y").body, HasSubstr("\"type\":\"server_error\""));
}

}  // namespace
}  // namespace skein
