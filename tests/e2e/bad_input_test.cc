// Input that must be refused by the real processes, which serve on.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/testing/golden.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

struct BadRequest {
  const char* name;
  std::string bytes;  // as they go over the wire
  int status;
  const char* in_body;
};

std::string Post(const std::string& path, const std::string& body) {
  return absl::StrCat("POST ", path,
                      " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ",
                      body.size(), "\r\n\r\n", body);
}

std::vector<BadRequest> BadRequests() {
  const std::string chat = "/v1/chat/completions";
  const std::string messages = R"("messages":[{"role":"user","content":"Hi"}])";
  return {
      {"not HTTP", "\x16\x03\x01\x02\x01 TLS hello\r\n\r\n", 400, "error"},
      {"a broken chunk",
       absl::StrCat(
           "POST ", chat,
           " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
       400, "error"},
      {"a huge header",
       absl::StrCat("GET / HTTP/1.1\r\nHost: x\r\nX: ", std::string(40000, 'x'), "\r\n\r\n"), 431,
       "error"},
      {"a huge body",
       absl::StrCat("POST ", chat, " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"), 413,
       "error"},
      {"an unknown route", "GET /v2/chat HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found_error"},
      {"a wrong method", "GET /v1/chat/completions HTTP/1.1\r\nHost: x\r\n\r\n", 405,
       "invalid_request_error"},
      {"broken JSON", Post(chat, "{\"model\": \"demo\", "), 400, "invalid_request_error"},
      {"broken UTF-8",
       Post(chat, "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}"),
       400, "invalid_request_error"},
      {"an unknown field", Post(chat, "{\"model\":\"demo\",\"temprature\":1," + messages + "}"),
       400, "temprature"},
      {"a wrong type", Post(chat, "{\"model\":\"demo\",\"max_tokens\":\"9\"," + messages + "}"),
       400, "max_tokens"},
      {"an unknown model", Post(chat, "{\"model\":\"gpt\"," + messages + "}"), 404, "gpt"},
      {"a token outside the vocabulary",
       Post("/v1/completions", R"({"model":"demo","prompt":[5,99999]})"), 400, "99999"},
      {"a prompt that is too long",
       Post("/v1/completions",
            absl::StrCat("{\"model\":\"demo\",\"prompt\":\"", std::string(400000, 'a'), "\"}")),
       400, "tokens"},
  };
}

TEST(BadInputTest, BadRequestsAreRefusedAndTheServersServeOn) {
  auto worker = WorkerServer::Start({});
  ASSERT_TRUE(worker.ok()) << worker.status();
  auto gateway = GatewayServer::Start({(*worker)->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  for (const BadRequest& bad : BadRequests()) {
    SCOPED_TRACE(bad.name);
    HttpClient client((*gateway)->port(), Patience(10));
    // The server may answer and close before it has read everything: a failed send is no failure.
    client.SendRaw(bad.bytes).IgnoreError();
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, bad.status) << response->body;
    EXPECT_TRUE(absl::StrContains(response->body, bad.in_body)) << response->body;
    const auto good = HttpPost(
        (*gateway)->port(), "/v1/chat/completions",
        R"({"model":"demo","temperature":0,"messages":[{"role":"user","content":"6 x 5"}]})");
    ASSERT_TRUE(good.ok()) << good.status();
    EXPECT_TRUE(absl::StrContains(good->body, "\"30\"")) << good->body;
  }
  EXPECT_EQ(StopCleanly((*gateway)->process()), absl::OkStatus());
  EXPECT_EQ(StopCleanly((*worker)->process()), absl::OkStatus());
}

TEST(BadInputTest, HostileModelFilesEndTheWorkerWithOneLineThatSaysWhy) {
  const auto folder = GoldenPath("rwkv/container/bad");
  if (!folder) GTEST_SKIP() << "no golden data";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    const std::string path = entry.path();
    SCOPED_TRACE(path);
    ++files;
    const auto result = RunCommand(
        {SKEIN_WORKER, "--model", path, "--listen", "127.0.0.1:0", "--device", TestDevice()}, "",
        Patience(20));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_status, 1) << result->err;
    int errors = 0;
    for (const absl::string_view line : absl::StrSplit(result->err, '\n', absl::SkipEmpty())) {
      EXPECT_TRUE(absl::StrContains(line, " level=")) << "not a log line: " << line;
      if (!absl::StrContains(line, "level=error")) continue;
      ++errors;
      EXPECT_TRUE(absl::StrContains(line, entry.path().filename().string())) << line;
    }
    EXPECT_EQ(errors, 1) << result->err;
  }
  EXPECT_GT(files, 40);
}

TEST(BadInputTest, WrongFlagsEndWithStatusTwo) {
  for (const std::string program : {SKEIN_WORKER, SKEIN_GATEWAY}) {
    for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
             {"--no-such-flag"}, {"--listen", "nowhere"}, {"--config", "/no/such/file"}}) {
      std::vector<std::string> command = {program};
      command.insert(command.end(), flags.begin(), flags.end());
      if (program == SKEIN_WORKER)
        command.insert(command.end(), {"--model", SourcePath("deploy/demo-model")});
      const auto result = RunCommand(command, "", Patience(10));
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->exit_status, 2) << program << " " << flags[0] << ": " << result->err;
      EXPECT_FALSE(result->err.empty());
    }
    const auto help = RunCommand({program, "--help"});
    ASSERT_TRUE(help.ok()) << help.status();
    EXPECT_TRUE(absl::StrContains(help->out + help->err, "--listen")) << help->out << help->err;
  }
}

}  // namespace
}  // namespace skein
