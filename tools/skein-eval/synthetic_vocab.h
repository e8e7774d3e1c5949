// Vocabularies of our own making for models with random weights: single bytes, then made-up words
// by rising length.
#pragma once

#include <cstdint>
#include <string>

namespace skein::eval {

// An RWKV World vocabulary file with tokens 1 to `vocab` - 1, at most 65529 of them, as in the real
// one.
std::string WorldVocabulary(int64_t vocab);

// A byte-level BPE tokenizer.json with `vocab` tokens. The last three are <|endoftext|>,
// <|im_start|> and <|im_end|>.
std::string BpeTokenizerJson(int64_t vocab);
// The tokenizer_config.json that goes with it: chat in the ChatML format.
std::string BpeTokenizerConfigJson();

}  // namespace skein::eval
