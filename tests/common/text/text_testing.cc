#include "tests/common/text/text_testing.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

#include "gtest/gtest.h"

#include "common/text/byte_level.h"
#include "common/text/utf8.h"
#include "tests/testing/golden.h"

namespace skein {

namespace json = boost::json;

namespace {

// This process's own, removed when it ends.
class ScratchFolder {
 public:
  ScratchFolder() : path_(::testing::TempDir() + "/skein_text_" + std::to_string(getpid())) {}
  ~ScratchFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

}  // namespace

std::vector<json::object> GoldenLines(const std::string& name) {
  std::vector<json::object> lines;
  const auto path = GoldenPath(name);
  if (!path.has_value()) return lines;
  std::istringstream file(ReadFileOrDie(*path));
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line).as_object());
  return lines;
}

std::string Text(const json::value& value) { return std::string(value.as_string()); }

std::vector<int32_t> Ids(const json::value& value) {
  std::vector<int32_t> ids;
  for (const json::value& id : value.as_array()) ids.push_back(static_cast<int32_t>(id.as_int64()));
  return ids;
}

std::string MakeFolder(const std::string& name) {
  static const ScratchFolder scratch;
  const std::string folder = scratch.path() + "/" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string WorldVocabulary(const std::vector<std::string>& words) {
  std::string text;
  char line[64];
  for (int byte = 0; byte < 256; ++byte) {
    std::snprintf(line, sizeof(line), "%d b'\\x%02x' 1\n", byte + 1, byte);
    text += line;
  }
  int id = 257;
  for (const std::string& word : words) {
    text += std::to_string(id++) + " b'";
    for (const char c : word) {
      std::snprintf(line, sizeof(line), "\\x%02x", static_cast<unsigned char>(c));
      text += line;
    }
    text += "' " + std::to_string(word.size()) + "\n";
  }
  return text;
}

json::object SmallTokenizerJson(const std::vector<std::string>& merges) {
  json::object vocab;
  for (int byte = 0; byte < 256; ++byte)
    vocab[ToByteLevel(std::string(1, static_cast<char>(byte)))] = byte;
  json::array list;
  for (const std::string& merge : merges) {
    std::string joined = merge;
    joined.erase(joined.find(' '), 1);
    vocab[joined] = vocab.size();
    list.push_back(json::string(merge));
  }
  const auto end_id = vocab.size();
  const json::object byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  return {{"added_tokens", {{{"id", end_id}, {"content", "<|end|>"}, {"special", true}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", list}}}};
}

std::string RandomText(std::mt19937& random, int characters) {
  static constexpr char32_t kSome[] = {' ',  ' ',  '\n',    'a',   'e',    'n',    '1',      '.',
                                       U'é', U'ß', 0x301,   0xA0,  0x3000, U'日',  U'本',    U'ก',
                                       'A',  '\'', 0x1F600, 0x323, 0xAC00, 0x1100, 0x10FFFF, '\r'};
  std::string text;
  for (int i = 0; i < characters; ++i) AppendUtf8(kSome[random() % std::size(kSome)], &text);
  return text;
}

std::string RandomBytes(std::mt19937& random, int length) {
  static constexpr unsigned char kLikely[] = {0x80, 0xBF, 0xC3, 0xE0, 0xA0, 0xED,
                                              0x9F, 0xF0, 0x90, 0xF4, 0x8F};
  std::string bytes;
  for (int i = 0; i < length; ++i) {
    const bool likely = random() % 2 == 0;
    bytes.push_back(
        static_cast<char>(likely ? kLikely[random() % std::size(kLikely)] : random() % 256));
  }
  return bytes;
}

}  // namespace skein
