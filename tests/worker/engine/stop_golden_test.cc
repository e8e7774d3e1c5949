// The golden stop cases through the whole loop: a model that says the case's tokens, and what the
// sink then hears.
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "tests/testing/fake_tokenizer.h"
#include "tests/testing/golden.h"
#include "tests/worker/engine/engine_harness.h"

namespace skein {
namespace {

namespace json = boost::json;

struct GoldenCase {
  std::vector<std::string> table;  // bytes of each id
  std::vector<int32_t> script;
  StoppingParams stopping;
};

GoldenCase ReadCase(const json::object& golden) {
  GoldenCase result;
  for (const json::value& token : golden.at("tokens").as_array()) {
    const auto id = static_cast<int32_t>(token.at(0).as_int64());
    if (id >= static_cast<int32_t>(result.table.size())) result.table.resize(id + 1, "?");
    const std::string bytes = absl::HexStringToBytes(json::value_to<std::string>(token.at(1)));
    if (!bytes.empty()) result.table[id] = bytes;  // end tokens have none, but they exist
    result.script.push_back(id);
  }
  result.stopping.max_tokens = golden.at("max_tokens").is_null()
                                   ? static_cast<int64_t>(result.script.size()) + 5
                                   : golden.at("max_tokens").as_int64();
  result.stopping.end_tokens = json::value_to<std::vector<int32_t>>(golden.at("eos_token_ids"));
  result.stopping.stop = json::value_to<std::vector<std::string>>(golden.at("stop"));
  result.stopping.include_stop = golden.at("include_stop").as_bool();
  return result;
}

// After each token no more may have been sent than is safe; it is always the beginning of the text.
void ExpectNeverEarly(const std::vector<size_t>& text_after, const json::array& emitted_per_step) {
  size_t safe = 0;
  for (size_t i = 0; i < text_after.size() && i < emitted_per_step.size(); ++i) {
    safe += json::value_to<std::string>(emitted_per_step[i]).size();
    EXPECT_LE(text_after[i], safe) << "token " << i;
  }
}

TEST(StopGoldenTest, TextReasonMatchAndUsageAgree) {
  const auto path = GoldenPath("adapters/stop/cases.json");
  if (!path) GTEST_SKIP() << "no golden stop cases here";
  const json::array cases = json::parse(ReadFileOrDie(*path)).at("cases").as_array();
  ASSERT_GE(cases.size(), 60u);
  for (const json::value& value : cases) {
    const json::object& golden = value.as_object();
    SCOPED_TRACE(json::value_to<std::string>(golden.at("name")));
    const GoldenCase c = ReadCase(golden);
    EngineHarness::Config config;
    config.model.vocab_size = static_cast<int64_t>(c.table.size());
    config.model.on_logits = [&c](int64_t num_tokens, std::span<float> logits) {
      const size_t at = static_cast<size_t>(num_tokens) - 1;
      if (at < c.script.size()) logits[c.script[at]] = 100;
    };
    config.tokenizer = std::make_shared<FakeTokenizer>(c.table);
    EngineHarness harness(std::move(config));
    GenerationRequest request = MakeRequest({static_cast<int32_t>(c.table.size()) - 1}, 0);
    request.stopping = c.stopping;
    const auto sink = harness.Start(request);
    ASSERT_TRUE(sink->WaitEnd());
    const CollectingSink::Choice choice = sink->choice(0);
    EXPECT_EQ(choice.text, json::value_to<std::string>(golden.at("text")));
    EXPECT_EQ(choice.finish == FinishReason::kStop ? "stop" : "length",
              json::value_to<std::string>(golden.at("finish_reason")));
    const json::value& matched = golden.at("matched_stop");
    EXPECT_EQ(choice.matched_stop, matched.is_null() ? "" : json::value_to<std::string>(matched));
    EXPECT_EQ(sink->usage().completion_tokens, golden.at("completion_tokens").as_int64());
    ExpectNeverEarly(choice.text_after, golden.at("emitted_per_step").as_array());
  }
}

}  // namespace
}  // namespace skein
