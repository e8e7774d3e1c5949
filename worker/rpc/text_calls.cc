#include "worker/rpc/text_calls.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/rpc/prompt_conversion.h"

namespace skein {

absl::StatusOr<v1::TokenizeResponse> Tokenize(const v1::TokenizeRequest& request,
                                              const ModelProfile& model) {
  ASSIGN_OR_RETURN(const ConvertedPrompt prompt, ConvertPrompt(request.prompt(), model));
  const Tokenizer* tokenizer = model.text.tokenizer.get();
  v1::TokenizeResponse response;
  for (const int32_t token : prompt.tokens) {
    v1::TokenInfo* info = response.add_tokens();
    info->set_id(token);
    if (tokenizer != nullptr) info->set_text(std::string(tokenizer->TokenBytes(token)));
  }
  return response;
}

absl::StatusOr<v1::DetokenizeResponse> Detokenize(const v1::DetokenizeRequest& request,
                                                  const ModelProfile& model) {
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids,
                   ConvertTokenIds("ids", request.ids(), model.description.vocab_size));
  if (model.text.tokenizer == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("model ", model.name, ": has no tokenizer"));
  }
  v1::DetokenizeResponse response;
  response.set_text(Decode(*model.text.tokenizer, ids, /*skip_special=*/false));
  return response;
}

}  // namespace skein
