// The demo model's own questions through HTTP: the whole way from JSON to text, against answers
// that were computed outside of this project's code.
#include <atomic>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include <boost/json.hpp>

#include "tests/e2e/servers.h"
#include "tests/testing/golden.h"
#include "tools/skeinctl/api_client.h"

namespace skein {
namespace {

constexpr double kRounding = 0.25;  // what 16-bit weights may move a logit by

struct Question {
  ctl::Turns turns;
  std::string expected;
  bool base_ok = false;  // the model answers exactly as expected in fp32
  double margin =
      0;  // logit gap between the expected token and the next best, smallest over the answer

  // No rounding changes the answer.
  bool sure() const { return base_ok && margin > kRounding; }
};

std::vector<Question> ReadQuestions() {
  std::vector<Question> questions;
  const std::string file = ReadFileOrDie(SourcePath("tests/e2e/data/eval_prompts.jsonl"));
  for (const absl::string_view line : absl::StrSplit(file, '\n', absl::SkipEmpty())) {
    const boost::json::value row =
        boost::json::parse(boost::json::string_view(line.data(), line.size()));
    Question question;
    for (const boost::json::value& message : row.at("messages").as_array()) {
      question.turns.push_back({boost::json::value_to<std::string>(message.at("role")),
                                boost::json::value_to<std::string>(message.at("content"))});
    }
    question.expected = boost::json::value_to<std::string>(row.at("expected"));
    question.base_ok = row.at("base_ok").as_bool();
    question.margin = row.at("margin").to_number<double>();
    questions.push_back(std::move(question));
  }
  return questions;
}

struct Answer {
  std::string text = {};
  std::string finish_reason = {};
  int64_t completion_tokens = 0;
  std::string error = {};

  bool operator==(const Answer&) const = default;
};

Answer Ask(ctl::ApiClient& client, const Question& question, bool stream) {
  ctl::GenerateCall call;
  call.model = "demo";
  call.prompt = question.turns;
  call.temperature = 0;
  call.max_tokens = 512;
  call.stream = stream;
  const absl::StatusOr<ctl::Generated> made = client.Generate(call);
  if (!made.ok()) return {.error = made.status().ToString()};
  return {.text = made->text,
          .finish_reason = made->finish_reason,
          .completion_tokens = made->completion_tokens};
}

class EvalTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    questions_ = new std::vector<Question>(ReadQuestions());
    auto worker = WorkerServer::Start({});
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = worker->release();
    auto gateway = GatewayServer::Start({worker_->address()});
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = gateway->release();
    alone_ = new std::vector<Answer>(AskAll(1, true));
  }
  static void TearDownTestSuite() {
    delete alone_;
    delete gateway_;
    delete worker_;
    delete questions_;
  }

  void SetUp() override { ASSERT_NE(alone_, nullptr) << "the servers did not start"; }

  // All answers, `concurrency` questions at a time; the questions are gone through `rounds` times.
  static std::vector<Answer> AskAll(int concurrency, bool stream, size_t rounds = 1) {
    std::vector<Answer> answers(rounds * questions_->size());
    std::atomic<size_t> next = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < concurrency; ++i) {
      threads.emplace_back([&] {
        ctl::ApiClient client(ctl::ParseUrl(gateway_->url()).value(), absl::Seconds(60));
        for (size_t at = next++; at < answers.size(); at = next++) {
          answers[at] = Ask(client, (*questions_)[at % questions_->size()], stream);
        }
      });
    }
    threads.clear();
    return answers;
  }

  // On the CPU to the letter. On a GPU, where the size of a step decides about the kernels, unless
  // two tokens were as good as equally likely; such answers are listed.
  static void ExpectSameAsAlone(const std::vector<Answer>& answers) {
    for (size_t i = 0; i < answers.size(); ++i) {
      const size_t number = i % questions_->size();
      const Answer& alone = (*alone_)[number];
      EXPECT_EQ(answers[i].error, "");
      if (answers[i] == alone) continue;
      const std::string difference = absl::StrCat("question ", number, ": \"", answers[i].text,
                                                  "\" instead of \"", alone.text, "\"");
      if (TestDevice() == "cpu" || (*questions_)[number].sure()) {
        ADD_FAILURE() << difference;
      } else {
        std::cout << difference << "\n";
      }
    }
  }

  static std::vector<Question>* questions_;
  static WorkerServer* worker_;
  static GatewayServer* gateway_;
  static std::vector<Answer>* alone_;  // streamed, one at a time
};

std::vector<Question>* EvalTest::questions_ = nullptr;
WorkerServer* EvalTest::worker_ = nullptr;
GatewayServer* EvalTest::gateway_ = nullptr;
std::vector<Answer>* EvalTest::alone_ = nullptr;

TEST_F(EvalTest, AnswersAreWhatTheModelAnswersInFp32) {
  int sure = 0, exact = 0;
  for (size_t i = 0; i < questions_->size(); ++i) {
    const Question& question = (*questions_)[i];
    const Answer& answer = (*alone_)[i];
    ASSERT_EQ(answer.error, "");
    if (answer.text == question.expected) {
      ++exact;
      EXPECT_EQ(answer.finish_reason, "stop");
    }
    if (!question.sure()) {
      if (answer.text != question.expected)
        std::cout << "question " << i << ": \"" << answer.text << "\", margin " << question.margin
                  << "\n";
      continue;
    }
    ++sure;
    EXPECT_EQ(answer.text, question.expected) << question.turns.back().content;
  }
  EXPECT_EQ(questions_->size(), 200u);
  EXPECT_EQ(sure, 186);
  EXPECT_GE(exact, TestDevice() == "cpu" ? 187 : sure);
}

TEST_F(EvalTest, WholeAnswersAreTheStreamedOnes) { ExpectSameAsAlone(AskAll(1, false)); }

TEST_F(EvalTest, StreamedAnswersAreTheSameInCompany) { ExpectSameAsAlone(AskAll(16, true)); }

TEST_F(EvalTest, WholeAnswersAreTheSameInCompany) { ExpectSameAsAlone(AskAll(16, false)); }

TEST_F(EvalTest, TheAnswersOf256StreamsAtOnceAreTheSame) {
  ExpectSameAsAlone(AskAll(256, true, 3));
}

}  // namespace
}  // namespace skein
