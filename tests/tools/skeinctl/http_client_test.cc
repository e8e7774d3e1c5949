#include "tools/skeinctl/http_client.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/skeinctl/scripted_server.h"

namespace skein::ctl {
namespace {

using ::testing::HasSubstr;

TEST(ParseUrlTest, FindsHostPortAndPath) {
  struct Case {
    const char* text;
    const char* host;
    const char* port;
    const char* path;
  };
  for (const Case& c :
       {Case{"http://127.0.0.1:8080", "127.0.0.1", "8080", ""},
        Case{"localhost:80/", "localhost", "80", ""},
        Case{"http://gateway/v0/", "gateway", "80", "/v0"},
        Case{"http://[::1]:9000/a/b", "::1", "9000", "/a/b"}, Case{"[::1]", "::1", "80", ""}}) {
    const auto url = ParseUrl(c.text);
    ASSERT_TRUE(url.ok()) << c.text << ": " << url.status();
    EXPECT_EQ(url->host, c.host);
    EXPECT_EQ(url->port, c.port);
    EXPECT_EQ(url->path, c.path);
  }
  for (const char* text :
       {"https://host", "ftp://host", "", "http://", "host:0", "host:70000", "host:x", ":80"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseUrl(text).status())) << text;
  }
}

HttpClient ClientOf(const ScriptedServer& server, absl::Duration timeout = absl::Seconds(10)) {
  return HttpClient(ParseUrl(server.url()).value(), timeout);
}

TEST(HttpClientTest, KeepsTheConnectionBetweenCalls) {
  ScriptedServer server([](const std::string& line, const std::string& body) {
    return JsonAnswer(201, line + "|" + body);
  });
  HttpClient client = ClientOf(server);
  const auto first = client.Send({.path = "/a"});
  const auto second = client.Send({.method = "POST", .path = "/b", .body = "{}"});
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->status, 201);
  EXPECT_EQ(first->body, "GET /a HTTP/1.1|");
  EXPECT_EQ(first->Header("content-type"), "application/json");
  EXPECT_EQ(first->Header("x-absent"), "");
  EXPECT_EQ(second->body, "POST /b HTTP/1.1|{}");
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClientTest, ConnectsAgainWhenTheServerHadClosedTheIdleConnection) {
  ScriptedServer server([](const std::string&, const std::string&) {
    ScriptedAnswer answer = JsonAnswer(200, "{}");
    answer.close = true;
    return answer;
  });
  HttpClient client = ClientOf(server);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client.Send({.path = "/"}).ok());
  EXPECT_EQ(server.connections(), 3);
}

TEST(HttpClientTest, HandsOnChunksAsTheyCome) {
  ScriptedServer server([](const std::string&, const std::string&) {
    return EventsAnswer({"one", "two"});
  });
  HttpClient client = ClientOf(server);
  std::string all;
  const auto reply = client.Send({.path = "/", .on_data = [&](absl::string_view bytes) {
                                    all.append(bytes.data(), bytes.size());
                                    return true;
                                  }});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(all, "data: one\n\ndata: two\n\n");
  EXPECT_EQ(reply->body, "");
}

TEST(HttpClientTest, ErrorAnswersAreBodiesEvenForAStream) {
  ScriptedServer server(
      [](const std::string&, const std::string&) { return JsonAnswer(400, "{\"error\":1}"); });
  HttpClient client = ClientOf(server);
  const auto reply = client.Send({.path = "/", .on_data = [](absl::string_view) { return false; }});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status, 400);
  EXPECT_EQ(reply->body, "{\"error\":1}");
}

TEST(HttpClientTest, TheCallerCanStopAStreamAndCallAgain) {
  ScriptedServer server([](const std::string&, const std::string&) {
    return EventsAnswer({"one", "two"});
  });
  HttpClient client = ClientOf(server);
  EXPECT_TRUE(absl::IsCancelled(
      client.Send({.path = "/", .on_data = [](absl::string_view) { return false; }}).status()));
  EXPECT_TRUE(client.Send({.path = "/"}).ok());
  EXPECT_EQ(server.connections(), 2);
}

TEST(HttpClientTest, BrokenAnswersAreErrors) {
  struct Case {
    const char* name;
    std::string bytes;
    absl::StatusCode code;
    const char* message;
  };
  for (const Case& c : {
           Case{"nothing", "", absl::StatusCode::kDataLoss, "closed the connection"},
           Case{"half a head", "HTTP/1.1 200 OK\r\nContent-", absl::StatusCode::kDataLoss,
                "closed the connection"},
           Case{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123",
                absl::StatusCode::kDataLoss, "closed the connection"},
           Case{"no last chunk",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                absl::StatusCode::kDataLoss, "closed the connection"},
           Case{"not HTTP", "SSH-2.0-OpenSSH\r\n\r\n", absl::StatusCode::kDataLoss, "not HTTP"},
       }) {
    SCOPED_TRACE(c.name);
    ScriptedServer server([&c](const std::string&, const std::string&) {
      return ScriptedAnswer{.pieces = {c.bytes}, .close = true};
    });
    const auto reply = ClientOf(server).Send({.path = "/"});
    EXPECT_EQ(reply.status().code(), c.code) << reply.status();
    EXPECT_THAT(std::string(reply.status().message()), HasSubstr(c.message));
  }
}

TEST(HttpClientTest, ASilentServerIsADeadline) {
  ScriptedServer server([](const std::string&, const std::string&) { return ScriptedAnswer{}; });
  const auto reply = ClientOf(server, absl::Milliseconds(50)).Send({.path = "/"});
  EXPECT_TRUE(absl::IsDeadlineExceeded(reply.status())) << reply.status();
}

TEST(HttpClientTest, NobodyListeningIsUnavailable) {
  std::string url;
  {
    ScriptedServer server([](const std::string&, const std::string&) { return ScriptedAnswer{}; });
    url = server.url();
  }
  const auto reply = HttpClient(ParseUrl(url).value()).Send({.path = "/"});
  EXPECT_TRUE(absl::IsUnavailable(reply.status()));
  EXPECT_THAT(std::string(reply.status().message()), HasSubstr("connection refused"));
}

}  // namespace
}  // namespace skein::ctl
