#include "gateway/rwkv_infer/error_detail.h"

#include <functional>
#include <string>
#include <utility>

#include "boost/json/object.hpp"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

namespace skein {
namespace {

namespace json = boost::json;

constexpr int kFirstError = 400;

class DetailResponder : public HttpResponder {
 public:
  explicit DetailResponder(std::shared_ptr<HttpResponder> out) : out_(std::move(out)) {}

  void AddHeader(std::string name, std::string value) override {
    out_->AddHeader(std::move(name), std::move(value));
  }
  void Send(HttpResponse response) override {
    AddDetail(response);
    out_->Send(std::move(response));
  }
  std::shared_ptr<SseWriter> StartEvents() override { return out_->StartEvents(); }
  void OnDisconnect(std::function<void()> callback) override {
    out_->OnDisconnect(std::move(callback));
  }
  void OnSilence(std::function<void()> callback) override { out_->OnSilence(std::move(callback)); }
  void OnShutdown(std::function<void()> callback) override {
    out_->OnShutdown(std::move(callback));
  }

 private:
  const std::shared_ptr<HttpResponder> out_;
};

}  // namespace

void AddDetail(HttpResponse& response) {
  if (response.status < kFirstError) return;
  json::error_code error;
  json::value body = json::parse(response.body, error);
  if (error || !body.is_object()) return;
  const json::value* object = body.get_object().if_contains("error");
  if (object == nullptr || !object->is_object()) return;
  const json::value* message = object->get_object().if_contains("message");
  if (message == nullptr) return;
  json::object with_detail = {{"detail", *message}};
  for (const auto& member : body.get_object()) with_detail[member.key()] = member.value();
  response.body = json::serialize(with_detail);
}

std::shared_ptr<HttpResponder> WithErrorDetail(std::shared_ptr<HttpResponder> out) {
  return std::make_shared<DetailResponder>(std::move(out));
}

}  // namespace skein
