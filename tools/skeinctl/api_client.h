// The HTTP API as typed calls: models, tokenize, streamed chat and text completions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "tools/skeinctl/http_client.h"

namespace skein::ctl {

struct Turn {
  std::string role;
  std::string content;
};
using Turns = std::vector<Turn>;
using TokenIds = std::vector<int64_t>;

struct GenerateCall {
  std::string model;
  std::variant<Turns, std::string, TokenIds>
      prompt;  // turns go to chat/completions, the others to completions
  std::optional<int64_t> max_tokens;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::string state;    // a registered state or mixture; empty: the model as it is
  std::string adapter;  // a registered one; empty: none
  std::optional<int64_t> seed;
  std::vector<std::string> stop;
  bool ignore_eos = false;
  bool stream = true;
  // With `stream`: gets each piece of text when it arrives. False ends the call with Cancelled.
  std::function<bool(absl::string_view)> on_text;
};

struct Generated {
  std::string id;
  std::string text;
  std::string finish_reason;  // empty if the server sent none
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
};

struct Token {
  int64_t id = 0;
  std::string text;
};

// The status that stands for an answer with an error: the code by its HTTP status, and the message
// of its error object.
absl::Status StatusOfReply(const HttpReply& reply);

// Not thread-safe: one client per thread. Errors of the connection are HttpClient's, errors of the
// server StatusOfReply's; an answer that is not what the API promises is DataLoss.
class ApiClient {
 public:
  explicit ApiClient(Url url, absl::Duration idle_timeout = absl::Minutes(10));

  // What is registered with a model is listed beside it, and has its name as `base`.
  struct Model {
    std::string name;
    std::string base;
  };
  absl::StatusOr<std::vector<Model>> Models();
  // `wanted`, or the only model that is served if it is empty. NotFound when none is served,
  // InvalidArgument when there are several to choose from.
  absl::StatusOr<std::string> ChooseModel(const std::string& wanted);
  absl::StatusOr<std::vector<Token>> Tokenize(const std::string& model, const std::string& text);
  // A streamed answer must end with [DONE], and both kinds must carry a usage.
  absl::StatusOr<Generated> Generate(const GenerateCall& call);

 private:
  HttpClient http_;
};

}  // namespace skein::ctl
