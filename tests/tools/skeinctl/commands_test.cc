#include "tools/skeinctl/commands.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/skeinctl/scripted_server.h"

namespace skein::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
  int exit_status = 0;
  std::string out, err;
};

Outcome Skeinctl(const std::vector<std::string>& args, const std::string& input = "",
                 bool interactive = false) {
  std::istringstream in(input);
  std::ostringstream out, err;
  Terminal terminal{in, out, err, interactive};
  const int exit_status = RunSkeinctl(args, terminal);
  return {exit_status, out.str(), err.str()};
}

std::vector<std::string> StreamOf(absl::string_view text, int prompt_tokens, int completion_tokens,
                                  absl::string_view reason) {
  return {absl::StrCat(R"({"choices":[{"text":")", text, R"(","delta":{"content":")", text,
                       R"("},"finish_reason":")", reason, R"("}]})"),
          absl::StrCat(R"({"choices":[],"usage":{"prompt_tokens":)", prompt_tokens,
                       R"(,"completion_tokens":)", completion_tokens, "}}"),
          "[DONE]"};
}

// Serves one model; a chat is answered by the number of messages that it held.
ScriptedAnswer Answer(const std::string& line, const std::string& body) {
  if (absl::StrContains(line, "/v1/models")) return JsonAnswer(200, R"({"data":[{"id":"demo"}]})");
  if (absl::StrContains(line, "/v1/tokenize")) {
    return JsonAnswer(200, R"({"tokens":[5,6,7],"token_strs":["a","\n","bytes:\\xe4\\xbd"]})");
  }
  if (absl::StrContains(body, "BAD"))
    return JsonAnswer(400, R"({"error":{"message":"bad words"}})");
  size_t roles = 0;
  for (size_t at = body.find("\"role\""); at != std::string::npos;
       at = body.find("\"role\"", at + 1))
    ++roles;
  return EventsAnswer(StreamOf(absl::StrCat(roles, " messages"), 64, 2, "length"));
}

TEST(SkeinctlTest, ChatSendsOneMessage) {
  ScriptedServer server(Answer);
  const Outcome outcome =
      Skeinctl({"chat", "--url", server.url(), "--system=Be kind.", "Hello", "there"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "2 messages\n");
}

TEST(SkeinctlTest, AConversationRemembersUntilItIsReset) {
  ScriptedServer server(Answer);
  const Outcome outcome =
      Skeinctl({"chat", "--url", server.url()}, "one\n\ntwo\n/reset\nthree\n/quit\nfour\n");
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "1 messages\n3 messages\n1 messages\n");
}

TEST(SkeinctlTest, APersonGoesOnAfterAnErrorAndAScriptDoesNot) {
  ScriptedServer server(Answer);
  const Outcome person = Skeinctl({"chat", "--url", server.url()}, "BAD\ntwo\n", true);
  EXPECT_EQ(person.exit_status, 0);
  EXPECT_THAT(person.err, HasSubstr("bad words"));
  EXPECT_THAT(person.out, HasSubstr("1 messages"));
  const Outcome script = Skeinctl({"chat", "--url", server.url()}, "BAD\ntwo\n");
  EXPECT_EQ(script.exit_status, 2);
  EXPECT_THAT(script.out, ::testing::Not(HasSubstr("messages")));
}

TEST(SkeinctlTest, CompleteModelsAndTokenizePrintTheirAnswers) {
  ScriptedServer server(Answer);
  EXPECT_EQ(Skeinctl({"complete", "--url", server.url()}, "Once upon").out, "0 messages\n");
  EXPECT_EQ(Skeinctl({"models", "--url", server.url()}).out, "demo\n");
  EXPECT_EQ(Skeinctl({"tokenize", "--url", server.url(), "a"}).out,
            "5\t\"a\"\n6\t\"\\n\"\n7\t\"\\xe4\\xbd\"\n");
}

TEST(SkeinctlTest, BenchPrintsItsTableAndFailsWhenAnswersAreWrong) {
  ScriptedServer server(Answer);
  const std::vector<std::string> args = {"bench",        "--url",           server.url(),
                                         "--requests=5", "--concurrency=1", "--prompt-tokens=64"};
  auto with = [&args](std::vector<std::string> more) {
    std::vector<std::string> all = args;
    all.insert(all.end(), more.begin(), more.end());
    return Skeinctl(all);
  };
  const Outcome good = with({"--max-tokens=2"});
  EXPECT_EQ(good.exit_status, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("5 requests answered, 0 refused, 0 failed"));
  const Outcome json = with({"--max-tokens=2", "--json"});
  EXPECT_THAT(json.out, HasSubstr("\"succeeded\":5"));
  const Outcome rate = with({"--max-tokens=2", "--rate=200"});
  EXPECT_EQ(rate.exit_status, 0) << rate.err;
  EXPECT_THAT(rate.out, HasSubstr("answers/s at 200.00 requests/s"));
  const Outcome wrong = with({"--max-tokens=3"});
  EXPECT_EQ(wrong.exit_status, 1);
  EXPECT_THAT(wrong.out, HasSubstr("usage says 2 tokens, expected 3"));
}

TEST(SkeinctlTest, RefusalsAreFailuresOfABenchWithoutARate) {
  ScriptedServer server([](const std::string& line, const std::string& body) {
    if (!absl::StrContains(line, "/v1/completions")) return Answer(line, body);
    return JsonAnswer(429, R"({"error":{"message":"the queue is full"}})");
  });
  const std::vector<std::string> args = {"bench", "--url", server.url(), "--requests=3",
                                         "--concurrency=1"};
  EXPECT_EQ(Skeinctl(args).exit_status, 1);
  std::vector<std::string> with_rate = args;
  with_rate.push_back("--rate=100");
  const Outcome outcome = Skeinctl(with_rate);
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("0 requests answered, 3 refused, 0 failed"));
}

TEST(SkeinctlTest, EveryCommandHasHelp) {
  EXPECT_EQ(Skeinctl({}).exit_status, 2);
  EXPECT_EQ(Skeinctl({"help"}).exit_status, 0);
  for (const char* command : {"chat", "complete", "models", "tokenize", "bench"}) {
    EXPECT_THAT(Skeinctl({"help"}).out, HasSubstr(command));
    const Outcome help = Skeinctl({command, "--help"});
    EXPECT_EQ(help.exit_status, 0);
    EXPECT_THAT(help.out, HasSubstr(absl::StrCat("usage: skeinctl ", command)));
    EXPECT_THAT(help.out, HasSubstr("--url URL"));
  }
}

TEST(SkeinctlTest, MistakesAreExplained) {
  struct Case {
    std::vector<std::string> args;
    int exit_status;
    const char* message;
  };
  for (const Case& c : {
           Case{{"talk"}, 2, "no command \"talk\""},
           Case{{"chat", "--modle=x", "hi"}, 2, "--modle: unknown option"},
           Case{{"models", "extra"}, 2, "expected models [list]"},
           Case{{"chat", "--url=ftp://x", "hi"}, 2, "expected http://HOST:PORT"},
           Case{{"chat", "--url=http://127.0.0.1:1", "hi"}, 1, "skein-gateway"},
       }) {
    const Outcome outcome = Skeinctl(c.args);
    EXPECT_EQ(outcome.exit_status, c.exit_status) << c.message;
    EXPECT_THAT(outcome.err, HasSubstr(c.message));
  }
}

TEST(SkeinctlTest, MakesKeysAndChecksThem) {
  const Outcome made = Skeinctl({"keys", "new", "--name=ci", "--role=inference", "--role=metrics",
                                 "--model=rwkv*", "--requests-per-minute=60", "--max-parallel", "2",
                                 "--expires=2037-01-31T00:00:00Z"});
  EXPECT_EQ(made.exit_status, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("\nsk-skein-"));
  EXPECT_THAT(made.out, Not(HasSubstr("sk-skein-")));
  for (const char* part : {"name: \"ci\"", "role: \"inference\"", "role: \"metrics\"",
                           "model: \"rwkv*\"", "requests_per_minute: 60", "max_parallel: 2"}) {
    EXPECT_THAT(made.out, HasSubstr(part));
  }
  const Outcome other = Skeinctl({"keys", "new", "--name=other", "--role=admin"});
  EXPECT_NE(made.err, other.err);
  const std::string path = ::testing::TempDir() + "/skeinctl_keys_test.txtpb";
  std::ofstream(path) << made.out << other.out;
  EXPECT_EQ(Skeinctl({"keys", "check", path}).out, path + ": 2 keys\n");
  std::ofstream(path) << made.out << made.out;
  EXPECT_THAT(Skeinctl({"keys", "check", path}).err, HasSubstr("the name is given twice"));
  std::filesystem::remove(path);
}

TEST(SkeinctlTest, RefusesKeysThatMakeNoSense) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"keys"},
           {"keys", "new"},
           {"keys", "new", "--name=a"},
           {"keys", "new", "--name=a", "--role=root"},
           {"keys", "new", "--name=a b", "--role=admin"},
           {"keys", "new", "--name=a", "--role=admin", "--expires=soon"},
           {"keys", "check"}}) {
    EXPECT_EQ(Skeinctl(args).exit_status, 2) << args.size();
  }
}

TEST(SkeinctlTest, RegistryCommandsKnowTheirArguments) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"states", "load", "a"},
                                             {"states", "load", "a", "b", "c"},
                                             {"states", "load", "a", "b", "--layout=xy"},
                                             {"states", "remove"},
                                             {"states", "list", "a"},
                                             {"mixtures", "define", "m"},
                                             {"mixtures", "define", "m", "a"},
                                             {"mixtures", "define", "m", "a:much"},
                                             {"mixtures", "load", "m", "p"},
                                             {"adapters", "load", "a"},
                                             {"adapters", "load", "a", "b", "--alpha=much"},
                                             {"adapters", "load", "a", "b", "--mole-rule=3"},
                                             {"adapters", "load", "a", "b", "--layout=vk"},
                                             {"adapters", "remove"},
                                             {"models", "all"},
                                             {"models", "load", "a"},
                                             {"models", "load", "a", "b", "--top-p=2"},
                                             {"models", "unload", "a", "b"}}) {
    EXPECT_EQ(Skeinctl(args).exit_status, 2) << args.back();
  }
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"states"}, {"models"}, {"models", "load", "a", "b"}, {"models", "unload"}}) {
    std::vector<std::string> nowhere = args;
    nowhere.push_back("--grpc=127.0.0.1:1");
    const Outcome nobody = Skeinctl(nowhere);
    EXPECT_EQ(nobody.exit_status, 1);
    EXPECT_FALSE(nobody.err.empty());
  }
}

TEST(SkeinctlTest, SendsItsApiKey) {
  ScriptedServer server(Answer);
  EXPECT_EQ(Skeinctl({"models", "--url", server.url(), "--api-key=sk-one"}).exit_status, 0);
  EXPECT_THAT(server.last_head(), HasSubstr("Authorization: Bearer sk-one\r\n"));
  setenv("SKEIN_API_KEY", "sk-two", 1);
  EXPECT_EQ(Skeinctl({"models", "--url", server.url()}).exit_status, 0);
  EXPECT_THAT(server.last_head(), HasSubstr("Authorization: Bearer sk-two\r\n"));
  unsetenv("SKEIN_API_KEY");
  EXPECT_EQ(Skeinctl({"models", "--url", server.url()}).exit_status, 0);
  EXPECT_THAT(server.last_head(), Not(HasSubstr("Authorization")));
}

}  // namespace
}  // namespace skein::ctl
