#include "tools/skein-eval/synthetic_vocab.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

#include "common/base/check.h"

namespace skein::eval {
namespace {

constexpr int64_t kMaxWorldTokens = 65529;
constexpr int kBytes = 256;
constexpr char kConsonants[] = "bcdfghjklmnpqrstvwxyz";
constexpr char kVowels[] = "aeiou";
constexpr const char* kSpecialTokens[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
constexpr int64_t kNumSpecial = 3;

// A word and where it was joined from two earlier ones. Merges of a lower stage come first:
// syllables grow into words before a final consonant or the blank in front joins, so that merging
// reaches each word and nothing bars its way.
struct Word {
  std::string text;
  size_t split = 1;
  int stage = 0;
};

class WordMaker {
 public:
  explicit WordMaker(int64_t count) : count_(count) {}

  // The short words first, each kind without and then with a blank in front.
  std::vector<Word> Make() {
    std::vector<std::string> consonants, vowels;
    for (const char c : absl::string_view(kConsonants)) consonants.emplace_back(1, c);
    for (const char c : absl::string_view(kVowels)) vowels.emplace_back(1, c);
    const std::vector<std::string> blank = {" "};
    const std::vector<std::string> syllables = Join(consonants, vowels, 0);
    Join(blank, syllables, 4);
    const std::vector<std::string> closed = Join(syllables, consonants, 2);
    Join(blank, closed, 5);
    const std::vector<std::string> doubled = Join(syllables, syllables, 1);
    Join(blank, doubled, 6);
    const std::vector<std::string> long_words = Join(doubled, consonants, 3);
    Join(blank, long_words, 7);
    SKEIN_CHECK(Full());
    return std::move(words_);
  }

 private:
  bool Full() const { return static_cast<int64_t>(words_.size()) >= count_; }

  std::vector<std::string> Join(const std::vector<std::string>& left,
                                const std::vector<std::string>& right, int stage) {
    std::vector<std::string> joined;
    for (const std::string& a : left) {
      for (const std::string& b : right) {
        if (Full()) return joined;
        words_.push_back({a + b, a.size(), stage});
        joined.push_back(a + b);
      }
    }
    return joined;
  }

  int64_t count_;
  std::vector<Word> words_;
};

// `count` words, sorted by `key`.
template <typename Key>
std::vector<Word> SortedWords(int64_t count, Key key) {
  std::vector<Word> words = WordMaker(count).Make();
  std::stable_sort(words.begin(), words.end(),
                   [&](const Word& a, const Word& b) { return key(a) < key(b); });
  return words;
}

// As Python would write the byte.
std::string ByteLiteral(int byte) {
  if (byte >= 0x80) return absl::StrFormat("b'\\x%02x'", byte);
  if (byte == '\'') return "\"'\"";
  if (byte == '\\') return "'\\\\'";
  if (byte < ' ' || byte == 0x7f) return absl::StrFormat("'\\x%02x'", byte);
  return absl::StrFormat("'%c'", byte);
}

// The printable character that stands for a byte in byte-level vocabularies: itself where it is
// printable in Latin-1, else one from U+0100 on, in order.
std::string ByteSymbol(int byte) {
  const auto printable = [](int b) {
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
  };
  int code = byte;
  if (!printable(byte)) {
    code = kBytes;
    for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
}

std::string JsonString(absl::string_view symbol) {
  std::string text = "\"";
  for (const char c : symbol) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

// A word of letters that may begin with a blank, in byte-level symbols.
std::string Symbols(absl::string_view word) {
  if (word[0] != ' ') return std::string(word);
  return absl::StrCat(ByteSymbol(' '), word.substr(1));
}

std::string AddedTokens(int64_t first_id) {
  std::string text;
  for (int64_t i = 0; i < kNumSpecial; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", "{\"id\":", first_id + i, ",\"content\":\"",
                    kSpecialTokens[i],
                    R"(","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,)"
                    R"("special":true})");
  }
  return text;
}

}  // namespace

std::string WorldVocabulary(int64_t vocab) {
  const int64_t tokens = std::min(vocab - 1, kMaxWorldTokens);
  std::string text;
  for (int byte = 0; byte < kBytes; ++byte) {
    absl::StrAppend(&text, byte + 1, " ", ByteLiteral(byte), " 1\n");
  }
  int64_t id = kBytes + 1;
  const auto length = [](const Word& word) { return word.text.size(); };
  for (const Word& word : SortedWords(tokens - kBytes, length)) {
    absl::StrAppend(&text, id++, " '", word.text, "' ", word.text.size(), "\n");
  }
  return text;
}

std::string BpeTokenizerJson(int64_t vocab) {
  const int64_t num_words = vocab - kBytes - kNumSpecial;
  std::string entries;
  std::string merges;
  for (int byte = 0; byte < kBytes; ++byte) {
    absl::StrAppend(&entries, byte == 0 ? "" : ",", JsonString(ByteSymbol(byte)), ":", byte);
  }
  int64_t id = kBytes;
  for (const Word& word : SortedWords(num_words, [](const Word& word) { return word.stage; })) {
    const absl::string_view text = word.text;
    absl::StrAppend(&merges, id == kBytes ? "" : ",", "[\"", Symbols(text.substr(0, word.split)),
                    "\",\"", Symbols(text.substr(word.split)), "\"]");
    absl::StrAppend(&entries, ",\"", Symbols(text), "\":", id++);
  }
  constexpr char kByteLevel[] =
      R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":)";
  // A blank goes to the word after it; anything else that is not a letter stands alone.
  constexpr char kSplit[] =
      R"({"type":"Split","pattern":{"Regex":" ?\\p{L}+|\\s+|."},"behavior":"Isolated","invert":false})";
  return absl::StrCat(
      R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[)", AddedTokens(id),
      R"(],"normalizer":null,"pre_tokenizer":{"type":"Sequence","pretokenizers":[)", kSplit, ",",
      kByteLevel, "false}]},\"post_processor\":", kByteLevel, "false},\"decoder\":", kByteLevel,
      R"(false},"model":{"type":"BPE","dropout":null,"unk_token":null,)",
      R"("continuing_subword_prefix":"","end_of_word_suffix":"","fuse_unk":false,)",
      R"("byte_fallback":false,"ignore_merges":false,"vocab":{)", entries, "},\"merges\":[", merges,
      "]}}\n");
}

std::string BpeTokenizerConfigJson() {
  return R"json({
  "add_bos_token": false,
  "bos_token": null,
  "chat_template": "{%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}",
  "eos_token": "<|im_end|>",
  "pad_token": "<|endoftext|>",
  "unk_token": null
}
)json";
}

}  // namespace skein::eval
