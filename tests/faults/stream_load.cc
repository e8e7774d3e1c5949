#include "tests/faults/stream_load.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <boost/json.hpp>

#include "common/base/status_macros.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr const char* kNames[] = {"whole", "error event", "refused", "cut", "hung", "wrong"};
constexpr int kLetters = 26;
constexpr size_t kMaxDetails = 5;

std::string Body(int prompt_chars, int tokens) {
  return absl::StrCat(R"({"model":"demo","stream":true,"temperature":0,"max_tokens":)", tokens,
                      R"(,"prompt":")", std::string(static_cast<size_t>(prompt_chars), 'x'), "\"}");
}

std::string MessageOf(const json::value& error) {
  const json::value* message =
      error.is_object() ? error.get_object().if_contains("message") : nullptr;
  return message != nullptr && message->is_string() ? std::string(message->get_string())
                                                    : "no message";
}

// What a stream has given so far.
class Transcript {
 public:
  explicit Transcript(std::string expected) : expected_(std::move(expected)) {}

  // True when the stream has come to its end.
  bool Take(const std::string& data) {
    if (data == "[DONE]") {
      End(finished_ && text_ == expected_ ? StreamEnd::kWhole : StreamEnd::kWrong,
          absl::StrCat("[DONE] after ", text_.size(), " characters"));
      return true;
    }
    json::error_code bad;
    const json::value event = json::parse(data, bad);
    if (bad || !event.is_object()) return End(StreamEnd::kWrong, "an event that is not JSON");
    if (const json::value* error = event.get_object().if_contains("error")) {
      return End(IsPrefix() ? StreamEnd::kError : StreamEnd::kWrong, MessageOf(*error));
    }
    const json::value& choices = event.get_object().at("choices");
    if (choices.as_array().empty()) return false;
    const json::object& choice = choices.as_array()[0].as_object();
    text_ += std::string(choice.at("text").as_string());
    finished_ = finished_ || choice.at("finish_reason").is_string();
    return IsPrefix() ? false : End(StreamEnd::kWrong, absl::StrCat("text \"", text_, "\""));
  }

  bool End(StreamEnd end, std::string detail) {
    result_.end = end;
    result_.detail = std::move(detail);
    return true;
  }
  StreamResult Result() {
    result_.chars = text_.size();
    return result_;
  }
  const std::string& text() const { return text_; }

 private:
  bool IsPrefix() const { return absl::StartsWith(expected_, text_); }

  const std::string expected_;
  std::string text_;
  bool finished_ = false;
  StreamResult result_;
};

StreamEnd EndOfConnection(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) ? StreamEnd::kHung : StreamEnd::kCut;
}

}  // namespace

std::string ScriptedAnswer(int prompt_chars, int tokens) {
  std::string text;
  const int prompt_tokens = prompt_chars + 1;
  for (int i = 0; i < tokens; ++i) {
    text.push_back(static_cast<char>('a' + (prompt_tokens + i) % kLetters));
  }
  return text;
}

absl::StatusOr<std::string> AskOnce(int port, int prompt_chars, int tokens) {
  HttpClient client(port, absl::Seconds(30));
  const std::string body =
      absl::StrCat(R"({"model":"demo","temperature":0,"max_tokens":)", tokens, R"(,"prompt":")",
                   std::string(static_cast<size_t>(prompt_chars), 'x'), "\"}");
  ASSIGN_OR_RETURN(const ClientResponse response, client.Post("/v1/completions", body));
  if (response.status != 200) {
    return absl::UnavailableError(absl::StrCat(response.status, " ", response.body));
  }
  const json::value reply = json::parse(response.body);
  return std::string(reply.at("choices").as_array()[0].at("text").as_string());
}

int StreamTally::Count(StreamEnd end) const {
  const auto found = counts.find(end);
  return found == counts.end() ? 0 : found->second;
}

std::string StreamTally::ToString() const {
  std::string text;
  for (const auto& [end, count] : counts) {
    absl::StrAppend(&text, kNames[static_cast<int>(end)], ": ", count, "  ");
  }
  size_t shown = 0;
  for (const auto& [detail, count] : details) {
    if (++shown > kMaxDetails) break;  // some name their request, and all differ
    absl::StrAppend(&text, "\n  ", count, " x ", detail);
  }
  return text;
}

StreamLoad::StreamLoad(const Options& options)
    : options_(options), open_(options.streams), results_(static_cast<size_t>(options.streams)) {
  for (int i = 0; i < options.streams; ++i) {
    threads_.emplace_back([this, i] {
      results_[static_cast<size_t>(i)] = Run(i);
      results_[static_cast<size_t>(i)].ended = absl::Now();
      --open_;
    });
  }
}

StreamResult StreamLoad::Run(int index) {
  // Streams of several lengths tell a text that belongs to another stream.
  const int prompt_chars = 1 + index % kLetters;
  Transcript transcript(ScriptedAnswer(prompt_chars, options_.tokens));
  const auto connection = options_.connect != nullptr
                              ? options_.connect()
                              : std::make_unique<HttpClient>(options_.port, options_.patience);
  HttpClient& client = *connection;
  absl::Status sent = client.Send("POST", "/v1/completions", Body(prompt_chars, options_.tokens),
                                  {{"content-type", "application/json"}});
  if (!sent.ok()) {
    transcript.End(StreamEnd::kRefused, "connection refused");
    return transcript.Result();
  }
  const auto head = client.ReadHead();
  if (!head.ok()) {
    transcript.End(EndOfConnection(head.status()),
                   absl::StrCat("no head: ", head.status().ToString()));
    return transcript.Result();
  }
  if (head->status != 200) {
    const auto body = client.ReadBody();
    transcript.End(body.ok() ? StreamEnd::kRefused : StreamEnd::kCut,
                   absl::StrCat(head->status, " ", body.value_or("")));
    StreamResult refused = transcript.Result();
    refused.http_status = head->status;
    return refused;
  }
  while (true) {
    const auto event = client.NextEvent();
    if (!event.ok() || !event->has_value()) {
      transcript.End(
          EndOfConnection(event.status()),
          absl::StrCat("after ", transcript.text().size(), " characters: ",
                       event.ok() ? "the stream ended without [DONE]" : event.status().ToString()));
      break;
    }
    if ((*event)->data.empty()) continue;  // a comment
    const bool first = transcript.text().empty();
    const bool ended = transcript.Take((*event)->data);
    if (first && !transcript.text().empty()) ++with_text_;
    if (ended) break;
  }
  return transcript.Result();
}

bool StreamLoad::WaitForText(int count, absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  while (with_text_ < count && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
  return with_text_ >= count;
}

const std::vector<StreamResult>& StreamLoad::Wait() {
  threads_.clear();
  return results_;
}

StreamTally StreamLoad::Tally() {
  StreamTally tally;
  for (const StreamResult& result : Wait()) {
    ++tally.counts[result.end];
    if (result.end != StreamEnd::kWhole) ++tally.details[result.detail];
  }
  return tally;
}

}  // namespace skein
