// keys: makes API keys, and checks files of them.
#include <array>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "common/base/status_macros.h"
#include "common/config/keys_config.h"
#include "common/config/text_proto.h"
#include "tools/skeinctl/commands.h"

namespace skein::ctl {
namespace {

using config::v1::ApiKey;
using config::v1::KeysFile;

constexpr size_t kKeyBytes = 32;
constexpr char kUsage[] = "keys new --name NAME --role ROLE [OPTIONS], or keys check FILE";
constexpr char kDetails[] =
    "new makes a random key. The key goes to the standard error and is shown this once; its entry\n"
    "for the gateway's file of keys, which holds only a hash, goes to the standard output:\n\n"
    "  skeinctl keys new --name ci --role inference >> keys.txtpb\n\n"
    "check says what is wrong with a file of keys, or how many it has.";

// The prefix lets scanners for leaked secrets recognise it.
absl::StatusOr<std::string> RandomKey() {
  std::array<unsigned char, kKeyBytes> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) {
    return absl::InternalError("no random bytes to be had from OpenSSL");
  }
  return absl::StrCat("sk-skein-", absl::BytesToHexString(absl::string_view(
                                       reinterpret_cast<const char*>(bytes.data()), bytes.size())));
}

std::string HashOf(const std::string& key) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

Option AddOption(std::string name, std::string value, std::string help,
                 std::function<void(const std::string&)> add) {
  return {std::move(name), std::move(value), std::move(help),
          [add = std::move(add)](const std::string& text) {
            add(text);
            return absl::OkStatus();
          }};
}

std::vector<Option> KeyOptions(ApiKey& key) {
  return {
      AddOption("name", "NAME", "for logs and limits; no other key has it",
                [&](const std::string& v) { key.set_name(v); }),
      AddOption("role", "ROLE", "inference, admin or metrics; may be given again",
                [&](const std::string& v) { key.add_role(v); }),
      AddOption("model", "PATTERN", "may use only such models (* and ?); may be given again",
                [&](const std::string& v) { key.add_model(v); }),
      AddOption("adapter", "PATTERN", "the same for adapters and tuned states",
                [&](const std::string& v) { key.add_adapter(v); }),
      IntOption("requests-per-minute", "N", "default: no limit", 1, 1'000'000'000,
                [&](int64_t v) { key.set_requests_per_minute(static_cast<uint32_t>(v)); }),
      IntOption("tokens-per-minute", "N", "default: no limit", 1, 1'000'000'000,
                [&](int64_t v) { key.set_tokens_per_minute(static_cast<uint64_t>(v)); }),
      IntOption("max-parallel", "N", "requests at a time; default: no limit", 1, 1'000'000,
                [&](int64_t v) { key.set_max_parallel(static_cast<uint32_t>(v)); }),
      AddOption("expires", "TIME", "such as 2027-01-31T00:00:00Z; default: never",
                [&](const std::string& v) { key.set_expires(v); }),
  };
}

absl::Status NewKey(ApiKey key, Terminal& terminal) {
  ASSIGN_OR_RETURN(const std::string text, RandomKey());
  key.add_sha256(HashOf(text));
  RETURN_IF_ERROR(Validate(key));
  KeysFile file;
  *file.add_key() = std::move(key);
  std::string entry;
  google::protobuf::TextFormat::PrintToString(file, &entry);
  terminal.err << "The key, shown only now:\n" << text << "\n";
  terminal.err.flush();
  terminal.out << entry;
  return absl::OkStatus();
}

absl::Status CheckFile(const std::string& path, Terminal& terminal) {
  ASSIGN_OR_RETURN(const KeysFile file, ReadTextProto<KeysFile>(path, TextErrors::kPlaceOnly));
  if (const absl::Status status = Validate(file); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
  }
  terminal.out << path << ": " << file.key_size() << (file.key_size() == 1 ? " key\n" : " keys\n");
  return absl::OkStatus();
}

}  // namespace

absl::Status RunKeys(const std::vector<std::string>& args, Terminal& terminal) {
  ApiKey key;
  const std::vector<Option> table = KeyOptions(key);
  ASSIGN_OR_RETURN(const ParsedArgs parsed, ParseArgs(args, table));
  if (parsed.help) {
    terminal.out << HelpText(kUsage, kDetails, table);
    return absl::OkStatus();
  }
  const std::vector<std::string>& words = parsed.positional;
  if (words.size() == 1 && words[0] == "new") return NewKey(std::move(key), terminal);
  if (words.size() == 2 && words[0] == "check") return CheckFile(words[1], terminal);
  return absl::InvalidArgumentError(absl::StrCat("expected ", kUsage));
}

}  // namespace skein::ctl
