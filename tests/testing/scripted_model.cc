#include "tests/testing/scripted_model.h"

#include <algorithm>
#include <limits>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/clock.h"

#include "tests/testing/byte_tokenizer.h"
#include "tests/testing/fake_model.h"

namespace skein {
namespace {

constexpr float kCertain = 50.0f;  // the other logits are below 8

absl::Status RunScript(const ScriptedModelOptions& options, const ModelBatch& batch,
                       uint32_t step) {
  if (options.stall_after > 0 && step > options.stall_after) {
    while (true) absl::SleepFor(absl::Hours(1));
  }
  if (options.fail_after > 0 && step > options.fail_after) {
    return absl::InternalError("the script wants this step to fail");
  }
  absl::SleepFor(options.step_time + batch.num_rows() * options.row_time);
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<Model> MakeScriptedModel(const ScriptedModelOptions& options) {
  FakeModel::Options fake;
  fake.vocab_size = ByteTokenizer::kVocabSize;
  fake.num_kv_layers = 0;
  fake.on_forward = [options, step = uint32_t{0}](const ModelBatch& batch) mutable {
    return RunScript(options, batch, ++step);
  };
  fake.on_logits = [](int64_t num_tokens, std::span<float> logits) {
    logits[ByteTokenizer::kEnd] = -std::numeric_limits<float>::infinity();
    logits['a' + num_tokens % 26] = kCertain;
  };
  return std::make_unique<FakeModel>(std::move(fake));
}

ModelText ScriptedText() {
  ModelText text;
  text.tokenizer = std::make_shared<ByteTokenizer>();
  text.chat = *FindChatFormat("chatml");
  text.end_tokens = {ByteTokenizer::kEnd};
  return text;
}

}  // namespace skein
