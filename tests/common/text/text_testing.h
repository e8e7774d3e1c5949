// What the tests of common/text share: golden lines, small files, random text.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <boost/json.hpp>

namespace skein {

// The objects of a golden .jsonl file; empty if there is none.
std::vector<boost::json::object> GoldenLines(const std::string& name);
std::string Text(const boost::json::value& value);
std::vector<int32_t> Ids(const boost::json::value& value);

// A fresh folder for one test.
std::string MakeFolder(const std::string& name);
void WriteFile(const std::string& path, const std::string& text);

// A vocabulary of the World form: the 256 bytes at ids 1 to 256, then `words`.
std::string WorldVocabulary(const std::vector<std::string>& words);

// The smallest byte-level tokenizer.json: the 256 bytes at ids 0 to 255 in the order of the
// alphabet, then the results of `merges` ("a b"), and <|end|> as the last id.
boost::json::object SmallTokenizerJson(const std::vector<std::string>& merges);

// Characters of one to four bytes, blanks and line ends among them.
std::string RandomText(std::mt19937& random, int characters);
// Any bytes, those of UTF-8 sequences more often than others.
std::string RandomBytes(std::mt19937& random, int length);

}  // namespace skein
