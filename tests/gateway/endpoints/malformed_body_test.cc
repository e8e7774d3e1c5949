// Bodies that are refused, each for its own reason: status, the field that the error names, its
// text.

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/json_body.h"
#include "gateway/endpoints/tokenize_body.h"

namespace skein {
namespace {

enum class Reader { kChat, kCompletions, kTokenize, kDetokenize };

absl::Status Read(Reader reader, const std::string& body) {
  const auto object = ParseJsonBody(body, 32);
  if (!object.ok()) return object.status();
  switch (reader) {
    case Reader::kChat:
      return ReadChatRequest(*object, 16).status();
    case Reader::kCompletions:
      return ReadCompletionRequest(*object, 16).status();
    case Reader::kTokenize:
      return ReadTokenizeBody(*object).status();
    case Reader::kDetokenize:
      return ReadDetokenizeBody(*object).status();
  }
  return absl::OkStatus();
}

struct Case {
  std::string body;
  const char* param;
  const char* message;  // regular expression
};

void ExpectRefused(Reader reader, const std::vector<Case>& cases) {
  std::set<std::string> seen;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.body.substr(0, 200));
    EXPECT_TRUE(seen.insert(c.body).second) << "twice";
    const absl::Status status = Read(reader, c.body);
    ASSERT_EQ(HttpStatusOf(status), 400) << status;
    EXPECT_EQ(ParamOf(status), c.param) << status;
    EXPECT_THAT(std::string(status.message()), testing::ContainsRegex(c.message));
    const auto error = boost::json::parse(ErrorBody(status, "id")).at("error");
    EXPECT_EQ(error.at("type").as_string(), "invalid_request_error");
    EXPECT_EQ(error.at("param").is_null(), *c.param == '\0');
  }
}

// A chat body with one member more.
std::string Chat(const std::string& member) {
  return absl::StrCat(R"({"model":"m","messages":[{"role":"user","content":"hi"}],)", member, "}");
}
std::string ChatOf(const std::string& messages) {
  return absl::StrCat(R"({"model":"m","messages":)", messages, "}");
}
std::string Completion(const std::string& member) {
  return absl::StrCat(R"({"model":"m","prompt":"hi",)", member, "}");
}

TEST(MalformedBodyTest, JsonSyntax) {
  ExpectRefused(Reader::kChat,
                {{"", "", "^body: empty, expected a JSON object$"},
                 {" \n\t", "", "^body: not valid JSON at byte"},
                 {R"({"model":"m")", "", "not valid JSON at byte 12: incomplete"},
                 {R"({"model":"m",})", "", "not valid JSON at byte 13"},
                 {R"({'model':'m'})", "", "not valid JSON at byte 1"},
                 {R"({"model":"m"} {"model":"m"})", "", "text after the JSON value, from byte 14"},
                 {R"([{"model":"m"}])", "", "JSON array, expected an object"},
                 {R"("model")", "", "JSON string, expected an object"},
                 {"null", "", "JSON null, expected an object"},
                 {Chat(R"("temperature":.5)"), "", "not valid JSON"},
                 {Chat(R"("temperature":01)"), "", "not valid JSON"},
                 {Chat(R"("temperature":NaN)"), "", "not valid JSON"},
                 {Chat(R"("temperature":+1)"), "", "not valid JSON"},
                 {Chat(R"("stream":True)"), "", "not valid JSON"},
                 {Chat("\"user\":\"two\nlines\""), "", "not valid JSON"},
                 {Chat(R"("user":"\x41")"), "", "not valid JSON"},
                 {Chat(R"("user":"open)"), "", "not valid JSON"},
                 {Chat(R"(/* note */ "user":"x")"), "", "not valid JSON"},
                 {Chat(R"("user" "x")"), "", "not valid JSON"},
                 {std::string("{\"model\":\"m\"\0}", 14), "", "not valid JSON at byte 12"},
                 {"\xEF\xBB\xBF{}", "", "not valid JSON at byte 0"},
                 {Chat(R"("temperature":1e99999999999)"), "", "exponent overflow"},
                 {"GET / HTTP/1.1", "", "not valid JSON at byte 0"}});
}

TEST(MalformedBodyTest, LimitsOfJson) {
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  std::string many = "[0";
  for (int i = 0; i < (1 << 22); ++i) many += ",0";
  std::string wide = R"("logit_bias":{"0":0)";
  for (int i = 1; i <= (1 << 18); ++i) absl::StrAppend(&wide, ",\"", i, "\":0");
  ExpectRefused(
      Reader::kChat,
      {{Chat(absl::StrCat(R"("metadata":)", deep)), "", "nested deeper than 32 levels"},
       {Chat(absl::StrCat(R"("stop_token_ids":)", many, "]")), "",
        "array too large|more than 4194304 values"},
       {Chat(wide + "}"), "", "object too large"},
       {Chat(absl::StrCat("\"", std::string(70000, 'k'), "\":1")), "", "key too large"},
       {Chat(R"("n":1,"n":2)"), "", "the key \"n\" appears twice"},
       {Chat(R"("metadata":{"a":"1","\u0061":"2"})"), "", "the key \"a\" appears twice"}});
}

TEST(MalformedBodyTest, Utf8) {
  const size_t start = Chat("").size() - 1;  // where the added member begins
  const auto at = [&](size_t offset) {
    return absl::StrCat("^body: not valid UTF-8 at byte ", start + offset, "$");
  };
  const std::string in_value = at(8);
  const std::string in_key = at(1);
  ExpectRefused(Reader::kChat,
                {{Chat("\"user\":\"\xFF\""), "", in_value.c_str()},              // never in UTF-8
                 {Chat("\"user\":\"\xC0\xAF\""), "", in_value.c_str()},          // overlong '/'
                 {Chat("\"user\":\"\xED\xA0\x80\""), "", in_value.c_str()},      // a surrogate
                 {Chat("\"user\":\"\xF4\x90\x80\x80\""), "", in_value.c_str()},  // above U+10FFFF
                 {Chat("\"user\":\"\xE4\xBD\""), "", in_value.c_str()},          // cut off
                 {Chat("\"\x80key\":1"), "", in_key.c_str()},  // begins in the middle
                 {Chat(R"("user":"\ud83d")"), "", "not valid JSON at byte .*: syntax error"},
                 {Chat(R"("user":"\ude00\ud83d")"), "", "illegal leading surrogate"},
                 {Chat(R"("user":"\ud83d\u0041")"), "", "illegal trailing surrogate"},
                 {Chat(R"("user":"\u12g4")"), "", "expected hex digit"}});
}

TEST(MalformedBodyTest, ChatFields) {
  ExpectRefused(
      Reader::kChat,
      {{R"({"messages":[{"role":"user","content":"hi"}]})", "model",
        "^model: missing, expected string$"},
       {R"({"model":"m"})", "messages", "^messages: missing, expected list of messages$"},
       {Chat(R"("temprature":1)"), "temprature", "^temprature: unknown field$"},
       {Chat(R"("":1)"), "", "^: unknown field$"},
       {Chat(R"("Temperature":1)"), "Temperature", "unknown field"},
       {Chat(R"("prompt":"hi")"), "prompt", "unknown field"},
       {Chat(R"("temperature":"0.7")"), "temperature", "found \"0.7\", expected a number"},
       {Chat(R"("temperature":-0.0001)"), "temperature", "expected a number 0 to 2"},
       {Chat(R"("temperature":1e400)"), "temperature", "found .*, expected a number 0 to 2"},
       {Chat(R"("top_p":[1])"), "top_p", "found a list of 1, expected a number"},
       {Chat(R"("top_k":3000000000)"), "top_k",
        "found 3000000000, expected an integer -1 to 2147483647"},
       {Chat(R"("penalty_decay":1.0000002)"), "penalty_decay", "above 0, at most 1"},
       {Chat(R"("repetition_penalty":1e-60)"), "repetition_penalty", "above 0"},
       {Chat(R"("half_life":5,"penalty_decay":0.9)"), "half_life",
        "given together with penalty_decay"},
       {Chat(R"("half_life":0.001)"), "half_life", "too small"},
       {Chat(R"("state":"a","states":[{"name":"b"}])"), "states", "given together with state"},
       {Chat(R"("states":[])"), "states", "found 0 objects, expected 1 to 64"},
       {Chat(R"("states":[{"name":"a"},"b"])"), "states[1]", "found \"b\", expected an object"},
       {Chat(R"("states":[{"weight":"1"}])"), "states[0].weight", "expected a number"},
       {Chat(R"("states":[{"scale":1}])"), "states[0].scale", "unknown field"},
       {Chat(R"("states_keep_sum":true)"), "states_keep_sum", "only allowed with states"},
       {Chat(R"("adapter":"a","adapters":[{"name":"b"}])"), "adapters",
        "given together with adapter"},
       {Chat(R"("adapters":[{"name":""}])"), "adapters[0].name", "found 0 bytes"},
       {Chat(R"("adapters":[{"scale":2}])"), "adapters[0].name", "missing, expected string"},
       {Chat(R"("n":0)"), "n", "found 0, expected an integer 1 to 128"},
       {Chat(R"("n":100)"), "n", "found 100, expected an integer 1 to 16"},
       {Chat(R"("n":2.0)"), "n", "found 2.*, expected an integer"},
       {Chat(R"("seed":18446744073709551616)"), "seed", "expected an integer"},
       {Chat(R"("stop":{})"), "stop", "found an object, expected a string or a list of strings"},
       {Chat(
            R"("stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])"),
        "stop", "found 17 strings, expected 0 to 16"},
       {Chat(R"("stop":[null])"), "stop[0]", "found null, expected a string"},
       {Chat(R"("logit_bias":{"5.5":1})"), "logit_bias.5.5", "the key is not a token id"},
       {Chat(R"("logit_bias":{"-1":1})"), "logit_bias.-1", "the key is not a token id"},
       {Chat(R"("logit_bias":{"4294967296":1})"), "logit_bias.4294967296",
        "the key is not a token id"},
       {Chat(R"("logit_bias":{"5":"1"})"), "logit_bias.5", "expected a number"},
       {Chat(R"("logit_bias":{"5":1,"05":2})"), "logit_bias.05", "appeared before"},
       {Chat(R"("logit_bias":[[5,1]])"), "logit_bias", "expected an object of token ids"},
       {Chat(R"("banned_tokens":"5")"), "banned_tokens", "expected a list of token ids"},
       {Chat(R"("allowed_tokens":[1,true])"), "allowed_tokens[1]",
        "found true, expected a token id"},
       {Chat(R"("repetition_scope":1)"), "repetition_scope", "expected a string"},
       {Chat(R"("sampling_order":"vllm")"), "sampling_order", "expected \"rwkv\" or \"hf\""},
       {Chat(R"("max_tokens":5,"max_completion_tokens":6)"), "max_completion_tokens",
        "found 6, but max_tokens is 5"},
       {Chat(R"("max_completion_tokens":0)"), "max_completion_tokens", "expected an integer 1 to"},
       {Chat(R"("max_tokens":5,"min_tokens":6)"), "min_tokens",
        "found 6, expected at most max_tokens, 5"},
       {Chat(R"("top_logprobs":2)"), "top_logprobs", "only allowed when logprobs is true"},
       {Chat(R"("logprobs":false,"top_logprobs":0)"), "top_logprobs", "only allowed"},
       {Chat(R"("logprobs_mode":"processed")"), "logprobs_mode", "only allowed with logprobs"},
       {Chat(R"("stream_options":{"include_usage":true})"), "stream_options",
        "only allowed when stream is true"},
       {Chat(R"("stream":true,"stream_options":{"usage":true})"), "stream_options.usage",
        "unknown field"},
       {Chat(R"("stream":true,"stream_options":[])"), "stream_options", "expected an object"},
       {Chat(R"("metadata":"a=b")"), "metadata", "expected an object of strings"},
       {Chat(R"("tools":[])"), "tools", "not supported: tools are not available"},
       {Chat(R"("response_format":{"type":"json_schema","json_schema":{}})"), "response_format",
        "only .*text.* is supported"}});
}

TEST(MalformedBodyTest, Messages) {
  ExpectRefused(
      Reader::kChat,
      {{ChatOf(R"("hi")"), "messages", "found \"hi\", expected a list of messages"},
       {ChatOf("[]"), "messages", "found 0 messages, expected 1 to"},
       {ChatOf(R"(["hi"])"), "messages[0]", "expected a message"},
       {ChatOf(R"([{"content":"hi"}])"), "messages[0].role", "missing"},
       {ChatOf(R"([{"role":"user"}])"), "messages[0].content", "missing"},
       {ChatOf(R"([{"role":"assistant","content":null}])"), "messages[0].content", "missing"},
       {ChatOf(R"([{"role":"user","content":"a"},{"role":"tool","content":"b"}])"),
        "messages[1].role",
        "found \"tool\", expected \"system\" or \"developer\" or \"user\" or \"assistant\""},
       {ChatOf(R"([{"role":7,"content":"a"}])"), "messages[0].role", "expected a string"},
       {ChatOf(R"([{"role":"user","content":5}])"), "messages[0].content",
        "found 5, expected a string or a list of text parts"},
       {ChatOf(R"([{"role":"user","content":[]}])"), "messages[0].content", "empty list"},
       {ChatOf(R"([{"role":"user","content":["a"]}])"), "messages[0].content[0]",
        "expected a text part"},
       {ChatOf(
            R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}}]}])"),
        "messages[0].content[1].type", "found \"image_url\", expected \"text\""},
       {ChatOf(R"([{"role":"user","content":[{"type":"text"}]}])"), "messages[0].content[0].text",
        "missing"},
       {ChatOf(R"([{"role":"user","content":[{"text":"a"}]}])"), "messages[0].content[0].type",
        "missing"},
       {ChatOf(R"([{"role":"user","content":[{"type":"text","text":"a","cache_control":{}}]}])"),
        "messages[0].content[0].cache_control", "unknown field"},
       {ChatOf(R"([{"role":"user","content":"a","name":"bob"}])"), "messages[0].name",
        "not supported: chat formats"},
       {ChatOf(R"([{"role":"assistant","content":"a","tool_calls":[]}])"), "messages[0].tool_calls",
        "not supported"},
       {ChatOf(R"([{"role":"user","content":"a","weight":1}])"), "messages[0].weight",
        "unknown field"}});
}

TEST(MalformedBodyTest, CompletionFields) {
  std::string prompts = R"(["a")";
  for (int i = 0; i < 128; ++i) prompts += R"(,"a")";
  const auto with_prompt = [](const std::string& prompt) {
    return absl::StrCat(R"({"model":"m","prompt":)", prompt, "}");
  };
  ExpectRefused(
      Reader::kCompletions,
      {{R"({"model":"m"})", "prompt", "missing, expected string, list of strings"},
       {with_prompt("5"), "prompt", "found 5, expected a string, a list of strings"},
       {with_prompt("[]"), "prompt", "an empty list, expected a string"},
       {with_prompt("[true]"), "prompt[0]", "found true, expected text, a token id"},
       {with_prompt(R"(["a",[1]])"), "prompt[1]",
        "found a list of 1, expected a string, like the first prompt"},
       {with_prompt("[[1],2]"), "prompt[1]", "expected a list of token ids, like the first prompt"},
       {with_prompt("[[1],[]]"), "prompt[1]", "an empty list, expected at least one token id"},
       {with_prompt("[[1,-2]]"), "prompt[0][1]", "found -2, expected a token id"},
       {with_prompt("[1,2.5]"), "prompt[1]", "found 2.5E0, expected a token id"},
       {with_prompt(prompts + "]"), "prompt", "found 129 prompts, expected at most 128"},
       {Completion(R"("messages":[])"), "messages", "unknown field"},
       {Completion(R"("top_logprobs":1)"), "top_logprobs", "unknown field"},
       {Completion(R"("logprobs":true)"), "logprobs", "found true, expected an integer"},
       {Completion(R"("best_of":2)"), "best_of", "found 2, only the value of n, 1, is supported"},
       {Completion(R"("min_tokens":17)"), "min_tokens", "expected at most max_tokens, 16"},
       {Completion(R"("suffix":"")"), "suffix", "not supported: text is continued"}});
}

TEST(MalformedBodyTest, TokenizeFields) {
  ExpectRefused(Reader::kTokenize,
                {{R"({"prompt":"a"})", "model", "missing"},
                 {R"({"model":"m"})", "prompt", "missing, expected prompt, text or messages"},
                 {R"({"model":"m","prompt":["a"]})", "prompt", "expected a string"},
                 {R"({"model":"m","prompt":"a","messages":[{"role":"user","content":"b"}]})",
                  "messages", "given together with another prompt"},
                 {R"({"model":"m","messages":[{"role":"user","content":"b"}],"prompt":"a"})",
                  "prompt", "given together with another prompt"},
                 {R"({"model":"m","prompt":"a","add_special_tokens":true})", "add_special_tokens",
                  "unknown field"}});
  ExpectRefused(
      Reader::kDetokenize,
      {{R"({"model":"m"})", "tokens", "missing, expected list of token ids"},
       {R"({"model":"m","tokens":"1"})", "tokens", "expected a list of token ids"},
       {R"({"model":"m","tokens":[1,"2"]})", "tokens[1]", "found \"2\", expected a token id"},
       {R"({"model":["m"],"tokens":[1]})", "model", "expected a string"}});
}

// What no clever bad body may do: crash, or be taken for a good one by luck.
TEST(MalformedBodyTest, EveryCutAndEveryChangedByteIsSurvived) {
  const std::string good =
      Chat(R"("stop":["\n","é"],"logit_bias":{"1":-1.5e1},"seed":12,"stream":false)");
  ASSERT_TRUE(Read(Reader::kChat, good).ok());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(HttpStatusOf(Read(Reader::kChat, good.substr(0, size))), 400) << size;
  }
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char byte : {'\0', '"', '{', '\\', '\xC3', '9'}) {
      std::string bad = good;
      bad[at] = byte;
      const absl::Status status = Read(Reader::kChat, bad);
      EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << bad;
    }
  }
}

}  // namespace
}  // namespace skein
