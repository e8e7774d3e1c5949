#include "common/text/model_text.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/text/json.h"
#include "common/text/world_tokenizer.h"

namespace skein {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kTokenizerFiles[] = {"tokenizer.json", "rwkv_vocab_v20230424.txt"};

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// Empty if the folder has none.
fs::path TokenizerIn(const fs::path& folder) {
  for (const char* name : kTokenizerFiles) {
    if (Exists(folder / name)) return folder / name;
  }
  return fs::path();
}

absl::StatusOr<fs::path> FindTokenizer(const fs::path& folder, const std::string& override_path) {
  if (override_path.empty()) return TokenizerIn(folder);
  if (!Exists(override_path)) {
    return absl::NotFoundError(absl::StrCat(override_path, ": no such tokenizer"));
  }
  if (!IsFolder(override_path)) return fs::path(override_path);
  const fs::path found = TokenizerIn(override_path);
  if (!found.empty()) return found;
  return absl::NotFoundError(absl::StrCat(override_path, ": neither ", kTokenizerFiles[0], " nor ",
                                          kTokenizerFiles[1], " in it"));
}

// An empty object if there is no such file.
absl::StatusOr<json::object> ReadOptionalJson(const fs::path& path) {
  if (!Exists(path)) return json::object();
  return ReadJsonObject(path.string());
}

// A string, or an object with `content`; empty if absent.
absl::StatusOr<std::string> TokenText(const json::object& config, absl::string_view key) {
  const json::value* value = FindField(config, key);
  if (value != nullptr && value->is_object()) {
    return StringField(value->get_object(), "content",
                       absl::StrCat("tokenizer_config.json: ", key));
  }
  return StringField(config, key, "tokenizer_config.json");
}

// `chat_template` is one template, or a list of {name, template}, of which the one named default
// counts.
absl::StatusOr<std::string> ConfigTemplate(const json::object& config) {
  const json::value* value = FindField(config, "chat_template");
  if (value == nullptr || !value->is_array()) {
    return StringField(config, "chat_template", "tokenizer_config.json");
  }
  for (const json::value& entry : value->get_array()) {
    if (!entry.is_object()) continue;
    ASSIGN_OR_RETURN(const std::string name,
                     StringField(entry.get_object(), "name", "chat_template"));
    if (name == "default") return StringField(entry.get_object(), "template", "chat_template");
  }
  return std::string();
}

absl::StatusOr<std::string> ChatTemplate(const fs::path& folder, const json::object& config) {
  ASSIGN_OR_RETURN(std::string text, ConfigTemplate(config));
  if (!text.empty()) return text;
  if (Exists(folder / "chat_template.jinja")) {
    return ReadTextFile((folder / "chat_template.jinja").string());
  }
  ASSIGN_OR_RETURN(const json::object file, ReadOptionalJson(folder / "chat_template.json"));
  return StringField(file, "chat_template", "chat_template.json");
}

// `eos_token_id`: a number or a list of numbers.
absl::Status AppendEndTokens(const fs::path& path, std::vector<int32_t>* ids) {
  ASSIGN_OR_RETURN(const json::object config, ReadOptionalJson(path));
  const json::value* value = FindField(config, "eos_token_id");
  if (value == nullptr) return absl::OkStatus();
  const json::array list = value->is_array() ? value->get_array() : json::array{*value};
  for (const json::value& entry : list) {
    const std::optional<int32_t> id = AsTokenId(entry);
    if (!id.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path.string(), ": eos_token_id: ", View(json::serialize(entry)),
                       ", expected a token id"));
    }
    ids->push_back(*id);
  }
  return absl::OkStatus();
}

void AppendTokenNamed(const Tokenizer* tokenizer, absl::string_view text,
                      std::vector<int32_t>* ids) {
  if (tokenizer == nullptr || text.empty()) return;
  const int32_t id = tokenizer->TokenId(text);
  if (id >= 0) ids->push_back(id);
}

absl::Status ChooseChatFormat(const std::string& chat_format_override,
                              const std::string& template_text, bool is_world, ModelText* model) {
  if (!chat_format_override.empty()) {
    ASSIGN_OR_RETURN(model->chat, FindChatFormat(chat_format_override));
  } else if (is_world) {
    ASSIGN_OR_RETURN(model->chat, FindChatFormat("world"));
  } else {
    model->chat = DetectChatFormat(template_text);
  }
  model->chat_options.default_system = DefaultSystemMessage(template_text);
  return absl::OkStatus();
}

absl::Status CollectEndTokens(const fs::path& folder, bool is_world, ModelText* model) {
  std::vector<int32_t>& ids = model->end_tokens;
  if (is_world) ids.push_back(0);
  RETURN_IF_ERROR(AppendEndTokens(folder / "generation_config.json", &ids));
  RETURN_IF_ERROR(AppendEndTokens(folder / "config.json", &ids));
  AppendTokenNamed(model->tokenizer.get(), model->chat_options.eos_token, &ids);
  if (model->chat != nullptr) AppendTokenNamed(model->tokenizer.get(), model->chat->turn_end, &ids);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return absl::OkStatus();
}

}  // namespace

std::vector<int32_t> ModelText::EncodePrompt(absl::string_view text) const {
  std::vector<int32_t> ids = tokenizer->Encode(text, true);
  if (add_bos && bos_token >= 0 && (ids.empty() || ids.front() != bos_token)) {
    ids.insert(ids.begin(), bos_token);
  }
  return ids;
}

absl::StatusOr<ModelText> LoadModelText(const std::string& model_path,
                                        const std::string& tokenizer_override,
                                        const std::string& chat_format_override) {
  const fs::path folder =
      IsFolder(model_path) ? fs::path(model_path) : fs::path(model_path).parent_path();
  ModelText model;
  ASSIGN_OR_RETURN(const fs::path tokenizer_path, FindTokenizer(folder, tokenizer_override));
  if (!tokenizer_path.empty()) {
    ASSIGN_OR_RETURN(model.tokenizer, LoadTokenizer(tokenizer_path.string()));
  }
  const bool is_world = dynamic_cast<const WorldTokenizer*>(model.tokenizer.get()) != nullptr;
  // A tokenizer from elsewhere brings its own configuration where the model has none.
  const bool has_config = tokenizer_path.empty() || Exists(folder / "tokenizer_config.json");
  const fs::path text_folder = has_config ? folder : tokenizer_path.parent_path();
  ASSIGN_OR_RETURN(const json::object config,
                   ReadOptionalJson(text_folder / "tokenizer_config.json"));
  ASSIGN_OR_RETURN(model.chat_options.bos_token, TokenText(config, "bos_token"));
  ASSIGN_OR_RETURN(model.chat_options.eos_token, TokenText(config, "eos_token"));
  ASSIGN_OR_RETURN(model.add_bos, BoolField(config, "add_bos_token", "tokenizer_config.json"));
  ASSIGN_OR_RETURN(const std::string template_text, ChatTemplate(text_folder, config));
  RETURN_IF_ERROR(ChooseChatFormat(chat_format_override, template_text, is_world, &model));
  if (model.tokenizer == nullptr) model.chat = nullptr;
  if (model.tokenizer != nullptr && !model.chat_options.bos_token.empty()) {
    model.bos_token = model.tokenizer->TokenId(model.chat_options.bos_token);
  }
  RETURN_IF_ERROR(CollectEndTokens(folder, is_world, &model));
  return model;
}

}  // namespace skein
