#include "tools/skeinctl/api_client.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include <boost/json.hpp>

#include "common/base/status_macros.h"
#include "tools/skeinctl/sse_parser.h"

namespace skein::ctl {
namespace {

namespace json = boost::json;

absl::StatusOr<json::object> ParseObject(absl::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) {
    return absl::DataLossError(
        absl::StrCat("the answer is not a JSON object: ", text.substr(0, 200)));
  }
  return std::move(value.as_object());
}

// Empty or zero if the member is absent or of another type: callers check what they need.
std::string TextOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string()
             ? std::string(value->as_string().c_str(), value->as_string().size())
             : "";
}

int64_t NumberOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->as_int64() : 0;
}

const json::array* ArrayOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr ? value->if_array() : nullptr;
}

const json::object* ObjectOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr ? value->if_object() : nullptr;
}

absl::StatusCode CodeOf(int status) {
  switch (status) {
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 409:
      return absl::StatusCode::kAborted;
    case 422:
      return absl::StatusCode::kDataLoss;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 501:
      return absl::StatusCode::kUnimplemented;
    case 503:
      return absl::StatusCode::kUnavailable;
    case 504:
      return absl::StatusCode::kDeadlineExceeded;
    default:
      return status < 500 ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kInternal;
  }
}

json::object ToJson(const GenerateCall& call) {
  json::object body = {{"model", call.model}};
  if (const auto* turns = std::get_if<Turns>(&call.prompt)) {
    json::array messages;
    for (const Turn& turn : *turns) {
      messages.push_back({{"role", turn.role}, {"content", turn.content}});
    }
    body["messages"] = std::move(messages);
  } else if (const auto* text = std::get_if<std::string>(&call.prompt)) {
    body["prompt"] = *text;
  } else {
    body["prompt"] = json::value_from(std::get<TokenIds>(call.prompt));
  }
  if (call.max_tokens) body["max_tokens"] = *call.max_tokens;
  if (call.temperature) body["temperature"] = *call.temperature;
  if (call.top_p) body["top_p"] = *call.top_p;
  if (!call.state.empty()) body["state"] = call.state;
  if (!call.adapter.empty()) body["adapter"] = call.adapter;
  if (call.seed) body["seed"] = *call.seed;
  if (!call.stop.empty()) body["stop"] = json::value_from(call.stop);
  if (call.ignore_eos) body["ignore_eos"] = true;
  if (call.stream) {
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
  }
  return body;
}

// Adds what one chunk, or a whole answer, holds to `out`; returns its text.
std::string Merge(const json::object& message, Generated& out) {
  if (out.id.empty()) out.id = TextOf(message, "id");
  if (const json::object* usage = ObjectOf(message, "usage")) {
    out.prompt_tokens = NumberOf(*usage, "prompt_tokens");
    out.completion_tokens = NumberOf(*usage, "completion_tokens");
  }
  const json::array* choices = ArrayOf(message, "choices");
  if (choices == nullptr || choices->empty() || !choices->front().is_object()) return "";
  const json::object& choice = choices->front().as_object();
  if (std::string reason = TextOf(choice, "finish_reason"); !reason.empty()) {
    out.finish_reason = std::move(reason);
  }
  const json::object* delta = ObjectOf(choice, "delta");
  if (delta == nullptr) delta = ObjectOf(choice, "message");
  std::string text = delta != nullptr ? TextOf(*delta, "content") : TextOf(choice, "text");
  out.text += text;
  return text;
}

// An error that came after the head of the stream: there its `code` stands for the HTTP status.
absl::Status ErrorEvent(const json::object& error) {
  struct Code {
    const char* name;
    absl::StatusCode code;
  };
  constexpr Code kCodes[] = {{"rate_limit_exceeded", absl::StatusCode::kResourceExhausted},
                             {"unavailable", absl::StatusCode::kUnavailable},
                             {"cancelled", absl::StatusCode::kUnavailable},
                             {"deadline_exceeded", absl::StatusCode::kDeadlineExceeded}};
  absl::StatusCode code = absl::StatusCode::kInternal;
  for (const Code& row : kCodes) {
    if (TextOf(error, "code") == row.name) code = row.code;
  }
  return absl::Status(code,
                      absl::StrCat("the stream ended with an error: ", TextOf(error, "message")));
}

// Takes the events of one stream; keeps the first thing that went wrong.
class StreamReader {
 public:
  StreamReader(const GenerateCall& call, Generated& out) : call_(call), out_(out) {}

  // False ends the call.
  bool Take(absl::string_view bytes) {
    parser_.Feed(bytes, [this](absl::string_view data) { Event(data); });
    return status_.ok();
  }
  absl::Status Finish() const {
    RETURN_IF_ERROR(status_);
    if (!done_) return absl::DataLossError("the stream ended without [DONE]");
    return absl::OkStatus();
  }
  const absl::Status& status() const { return status_; }

 private:
  void Event(absl::string_view data) {
    if (!status_.ok()) return;
    if (data == "[DONE]") {
      done_ = true;
      return;
    }
    absl::StatusOr<json::object> message = ParseObject(data);
    if (!message.ok()) {
      status_ = message.status();
    } else if (const json::object* error = ObjectOf(*message, "error")) {
      status_ = ErrorEvent(*error);
    } else if (const std::string text = Merge(*message, out_);
               !text.empty() && call_.on_text && !call_.on_text(text)) {
      status_ = absl::CancelledError("stopped by the caller");
    }
  }

  const GenerateCall& call_;
  Generated& out_;
  SseParser parser_;
  absl::Status status_;
  bool done_ = false;
};

absl::Status CheckComplete(const Generated& out) {
  if (out.finish_reason.empty()) return absl::DataLossError("the answer has no finish_reason");
  if (out.prompt_tokens <= 0) return absl::DataLossError("the answer has no usage");
  return absl::OkStatus();
}

}  // namespace

absl::Status StatusOfReply(const HttpReply& reply) {
  if (reply.status == 200) return absl::OkStatus();
  std::string message = absl::StrCat("HTTP ", reply.status);
  if (absl::StatusOr<json::object> body = ParseObject(reply.body); body.ok()) {
    if (const json::object* error = ObjectOf(*body, "error")) {
      absl::StrAppend(&message, ": ", TextOf(*error, "message"));
    }
  }
  return absl::Status(CodeOf(reply.status), message);
}

ApiClient::ApiClient(Url url, absl::Duration idle_timeout) : http_(std::move(url), idle_timeout) {}

absl::StatusOr<std::vector<ApiClient::Model>> ApiClient::Models() {
  ASSIGN_OR_RETURN(const HttpReply reply, http_.Send({.path = "/v1/models"}));
  RETURN_IF_ERROR(StatusOfReply(reply));
  ASSIGN_OR_RETURN(const json::object body, ParseObject(reply.body));
  const json::array* data = ArrayOf(body, "data");
  if (data == nullptr) return absl::DataLossError("/v1/models: no list \"data\" in the answer");
  std::vector<Model> models;
  for (const json::value& item : *data) {
    if (!item.is_object()) continue;
    const json::object& model = item.as_object();
    models.push_back({.name = TextOf(model, "id"), .base = TextOf(model, "base_model")});
  }
  return models;
}

absl::StatusOr<std::string> ApiClient::ChooseModel(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  ASSIGN_OR_RETURN(const std::vector<Model> models, Models());
  std::vector<std::string> names;
  for (const Model& model : models) {
    if (model.base.empty()) names.push_back(model.name);
  }
  if (names.empty()) {
    return absl::NotFoundError(
        "no model is being served: is a worker running, and has it loaded its model?");
  }
  if (names.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--model: choose one of ", absl::StrJoin(names, ", ")));
  }
  return names.front();
}

absl::StatusOr<std::vector<Token>> ApiClient::Tokenize(const std::string& model,
                                                       const std::string& text) {
  const json::object request = {{"model", model}, {"prompt", text}, {"return_token_strs", true}};
  ASSIGN_OR_RETURN(
      const HttpReply reply,
      http_.Send({.method = "POST", .path = "/v1/tokenize", .body = json::serialize(request)}));
  RETURN_IF_ERROR(StatusOfReply(reply));
  ASSIGN_OR_RETURN(const json::object body, ParseObject(reply.body));
  const json::array* ids = ArrayOf(body, "tokens");
  const json::array* texts = ArrayOf(body, "token_strs");
  if (ids == nullptr || texts == nullptr || ids->size() != texts->size()) {
    return absl::DataLossError(
        "/v1/tokenize: the answer has no lists \"tokens\" and \"token_strs\" of one length");
  }
  std::vector<Token> out;
  for (size_t i = 0; i < ids->size(); ++i) {
    if (!(*ids)[i].is_int64() || !(*texts)[i].is_string()) {
      return absl::DataLossError("/v1/tokenize: a token is not a number with a text");
    }
    out.push_back({.id = (*ids)[i].as_int64(), .text = json::value_to<std::string>((*texts)[i])});
  }
  return out;
}

absl::StatusOr<Generated> ApiClient::Generate(const GenerateCall& call) {
  const bool chat = std::holds_alternative<Turns>(call.prompt);
  HttpCall request = {.method = "POST",
                      .path = chat ? "/v1/chat/completions" : "/v1/completions",
                      .body = json::serialize(ToJson(call)),
                      .on_data = nullptr};
  Generated out;
  StreamReader reader(call, out);
  if (call.stream) {
    request.on_data = [&reader](absl::string_view bytes) { return reader.Take(bytes); };
  }
  const absl::StatusOr<HttpReply> reply = http_.Send(request);
  RETURN_IF_ERROR(reader.status());
  RETURN_IF_ERROR(reply.status());
  RETURN_IF_ERROR(StatusOfReply(*reply));
  if (call.stream) {
    RETURN_IF_ERROR(reader.Finish());
  } else {
    ASSIGN_OR_RETURN(const json::object body, ParseObject(reply->body));
    Merge(body, out);
  }
  RETURN_IF_ERROR(CheckComplete(out));
  return out;
}

}  // namespace skein::ctl
