// What is not a proper request gets one clear refusal, and the server serves on.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/gateway/http/test_server.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Case {
  const char* name;
  std::string request;
  int status;
  const char* code;
};

constexpr char kHost[] = "host: a\r\n";

// A request line and headers with a Host and the empty line.
std::string Head(const std::string& line, const std::string& headers = "") {
  return absl::StrCat(line, "\r\n", kHost, headers, "\r\n");
}

const std::vector<Case>& Cases() {
  static const auto& cases = *new std::vector<Case>{
      {"no HTTP at all", "hello there\r\n\r\n", 400, "malformed_request"},
      {"TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15), 400,
       "malformed_request"},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_request"},
      {"no target", "GET HTTP/1.1\r\nhost: a\r\n\r\n", 400, "malformed_request"},
      {"no version", "GET /\r\nhost: a\r\n\r\n", 400, "malformed_request"},
      {"version 9.9", Head("GET / HTTP/9.9"), 400, "malformed_request"},
      {"version word", Head("GET / HTTQ/1.1"), 400, "malformed_request"},
      {"version letters", Head("GET / HTTP/1.x"), 400, "malformed_request"},
      {"method with a bad byte", Head("G@T / HTTP/1.1"), 400, "malformed_request"},
      {"blank in the target", Head("GET /a b HTTP/1.1"), 400, "malformed_request"},
      {"control byte in the target", Head("GET /a\x01 HTTP/1.1"), 400, "malformed_request"},
      {"blank before the method", Head(" GET / HTTP/1.1"), 400, "malformed_request"},
      {"header without colon", Head("GET / HTTP/1.1", "nonsense\r\n"), 400, "malformed_request"},
      {"header without name", Head("GET / HTTP/1.1", ": value\r\n"), 400, "malformed_request"},
      {"blank before the colon", Head("GET / HTTP/1.1", "name : value\r\n"), 400,
       "malformed_request"},
      {"blank in a name", Head("GET / HTTP/1.1", "na me: value\r\n"), 400, "malformed_request"},
      {"NUL in a value", Head("GET / HTTP/1.1", std::string("a: b\0c\r\n", 8)), 400,
       "malformed_request"},
      {"NUL in a name", Head("GET / HTTP/1.1", std::string("a\0b: c\r\n", 8)), 400,
       "malformed_request"},
      {"bare LF ends a line", "GET / HTTP/1.1\nhost: a\n\n", 400, "malformed_request"},
      {"bare CR in a value", Head("GET / HTTP/1.1", "a: b\rc\r\n"), 400, "malformed_request"},
      {"two lengths", Head("POST / HTTP/1.1", "content-length: 3\r\ncontent-length: 4\r\n"), 400,
       "malformed_request"},
      {"two lengths in one", Head("POST / HTTP/1.1", "content-length: 3, 4\r\n"), 400,
       "malformed_request"},
      {"length and chunked",
       Head("POST / HTTP/1.1", "content-length: 3\r\ntransfer-encoding: chunked\r\n"), 400,
       "malformed_request"},
      {"chunked and length",
       Head("POST / HTTP/1.1", "transfer-encoding: chunked\r\ncontent-length: 3\r\n"), 400,
       "malformed_request"},
      {"chunked twice",
       Head("POST / HTTP/1.1", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"), 400,
       "malformed_request"},
      {"negative length", Head("POST / HTTP/1.1", "content-length: -1\r\n"), 400,
       "malformed_request"},
      {"length in words", Head("POST / HTTP/1.1", "content-length: ten\r\n"), 400,
       "malformed_request"},
      {"length over 64 bits", Head("POST / HTTP/1.1", "content-length: 99999999999999999999\r\n"),
       400, "malformed_request"},
      {"empty length", Head("POST / HTTP/1.1", "content-length:\r\n"), 400, "malformed_request"},
      {"chunk size in words",
       Head("POST / HTTP/1.1", "transfer-encoding: chunked\r\n") + "many\r\nabc\r\n", 400,
       "malformed_request"},
      {"chunk longer than its size",
       Head("POST / HTTP/1.1", "transfer-encoding: chunked\r\n") + "2\r\nabc\r\n0\r\n\r\n", 400,
       "malformed_request"},
      {"chunk size over 64 bits",
       Head("POST / HTTP/1.1", "transfer-encoding: chunked\r\n") + "fffffffffffffffff\r\n", 400,
       "malformed_request"},
      {"unknown coding", Head("POST / HTTP/1.1", "transfer-encoding: gzip\r\n"), 501,
       "unknown_transfer_encoding"},
      {"coding before chunked", Head("POST / HTTP/1.1", "transfer-encoding: gzip, chunked\r\n"),
       501, "unknown_transfer_encoding"},
      {"unknown expectation", Head("POST / HTTP/1.1", "expect: a-pony\r\ncontent-length: 1\r\n"),
       417, "unknown_expectation"},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", 400, "bad_host"},
      {"two Hosts", Head("GET / HTTP/1.1", "host: b\r\n"), 400, "bad_host"},
      {"relative target", Head("GET models HTTP/1.1"), 400, "bad_target"},
      {"CONNECT", Head("CONNECT a:443 HTTP/1.1"), 400, "bad_target"},
      {"https form", Head("GET https://a/ HTTP/1.1"), 400, "bad_target"},
      {"escape cut short", Head("GET /a%2 HTTP/1.1"), 400, "bad_target"},
      {"escape with letters", Head("GET /a%zz HTTP/1.1"), 400, "bad_target"},
      {"escaped NUL", Head("GET /a%00b HTTP/1.1"), 400, "bad_target"},
      {"escaped newline", Head("GET /a%0ab HTTP/1.1"), 400, "bad_target"},
      {"escaped slash", Head("GET /v1%2fmodels HTTP/1.1"), 400, "bad_target"},
      {"parent folder", Head("GET /v1/../../etc/passwd HTTP/1.1"), 400, "bad_target"},
      {"escaped parent folder", Head("GET /v1/%2e%2e/x HTTP/1.1"), 400, "bad_target"},
      {"not UTF-8", Head("GET /v1/models/%ff%fe HTTP/1.1"), 400, "bad_target"},
      {"overlong UTF-8", Head("GET /%c0%af HTTP/1.1"), 400, "bad_target"},
      {"surrogate", Head("GET /%ed%a0%80 HTTP/1.1"), 400, "bad_target"},
  };
  return cases;
}

TEST(MalformedRequestTest, EachGetsItsRefusalAndTheServerServesOn) {
  TestServer server(Echo);
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    HttpClient client(server.port(), absl::Seconds(2));
    ASSERT_TRUE(client.SendRaw(c.request).ok());
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, c.status) << response->body;
    EXPECT_EQ(response->Header("content-type"), "application/json");
    EXPECT_EQ(response->Header("connection"), "close");
    EXPECT_THAT(response->Header("x-request-id"), StartsWith("req-"));
    EXPECT_THAT(response->body, StartsWith("{\"error\":{\"message\":\""));
    EXPECT_THAT(
        response->body,
        HasSubstr(c.status == 501
                      ? "\",\"type\":\"server_error\",\"param\":null,\"code\":\""
                      : "\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\""));
    EXPECT_THAT(response->body, HasSubstr(absl::StrCat("\"code\":\"", c.code, "\"")));
    EXPECT_TRUE(client.WaitForClose(absl::Seconds(2)));
  }
  EXPECT_EQ(HttpGet(server.port(), "/still/here")->status, 200);
}

TEST(MalformedRequestTest, OddButProperRequestsAreServed) {
  struct Proper {
    const char* name;
    std::string request;
    const char* body;
  };
  TestServer server(Echo);
  for (const Proper& c : {
           Proper{"absolute form", Head("GET http://h:1/a?b HTTP/1.1"), "GET /a b "},
           Proper{"absolute form without path", Head("GET http://h HTTP/1.1"), "GET /  "},
           Proper{"asterisk", Head("OPTIONS * HTTP/1.1"), "OPTIONS *  "},
           Proper{"unknown method", Head("PATCH /x HTTP/1.1"), "OTHER /x  "},
           Proper{"made-up method", Head("BREW /x HTTP/1.1"), "OTHER /x  "},
           Proper{"empty lines first", "\r\n\r\n" + Head("GET /x HTTP/1.1"), "GET /x  "},
           Proper{"same length twice",
                  Head("POST /x HTTP/1.1", "content-length: 2\r\ncontent-length: 2\r\n") + "ab",
                  "POST /x  ab"},
           Proper{"UTF-8 in the path", Head("GET /%e2%82%ac HTTP/1.1"), "GET /\xe2\x82\xac  "},
           Proper{"dots in a segment", Head("GET /a/..b/c. HTTP/1.1"), "GET /a/..b/c.  "},
           Proper{"question marks", Head("GET /x?a?b HTTP/1.1"), "GET /x a?b "},
           Proper{"body of GET", Head("GET /x HTTP/1.1", "content-length: 1\r\n") + "b",
                  "GET /x  b"},
           Proper{"chunked in capitals",
                  Head("POST / HTTP/1.1", "Transfer-Encoding: Chunked\r\n") + "1\r\na\r\n0\r\n\r\n",
                  "POST /  a"},
           Proper{"header without value", Head("GET /x HTTP/1.1", "a:\r\n"), "GET /x  "},
       }) {
    SCOPED_TRACE(c.name);
    HttpClient client(server.port(), absl::Seconds(2));
    ASSERT_TRUE(client.SendRaw(c.request).ok());
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, c.body);
    EXPECT_EQ(client.Get("/next")->status, 200);
  }
}

TEST(MalformedRequestTest, ARequestThatEndsTooEarlyIsRefused) {
  TestServer server(Echo);
  for (const std::string& request :
       {std::string("GET / HT"), Head("POST / HTTP/1.1", "content-length: 10\r\n") + "abc",
        Head("POST / HTTP/1.1", "transfer-encoding: chunked\r\n") + "5\r\nabc"}) {
    SCOPED_TRACE(request);
    HttpClient client(server.port(), absl::Seconds(2));
    ASSERT_TRUE(client.SendRaw(request).ok());
    client.ShutdownWrite();
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 400);
    EXPECT_THAT(response->body, HasSubstr("truncated_request"));
  }
}

TEST(MalformedRequestTest, RefusalsAreCountedAndEchoTheRequestId) {
  TestServer server(Echo);
  HttpClient client(server.port());
  const auto response = client.Request("GET", "/..", "", {{"x-request-id", "mine"}});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->Header("x-request-id"), "mine");
  ASSERT_TRUE(client.WaitForClose(absl::Seconds(2)));
  EXPECT_THAT(server.registry.Text(),
              HasSubstr("skein_gateway_requests_total{route=\"other\",status=\"400\"} 1"));
}

}  // namespace
}  // namespace skein
