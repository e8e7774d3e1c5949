// docs/api.md lists every field as the tables have it.

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/conditioning_fields.h"
#include "gateway/endpoints/generation_fields.h"
#include "gateway/endpoints/messages.h"
#include "gateway/endpoints/registry_body.h"
#include "gateway/endpoints/sampling_fields.h"
#include "gateway/endpoints/tokenize_body.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

// Rows of the first table after the heading `title`, without its head.
std::vector<std::string> TableAfter(const std::string& text, const std::string& title) {
  std::vector<std::string> rows;
  bool found = false;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "#")) {
      found = absl::StripLeadingAsciiWhitespace(absl::StripPrefix(line, "###")) == title;
    }
    if (found && absl::StartsWith(line, "| `")) rows.emplace_back(line);
  }
  return rows;
}

// The fields of `table` that are not also in a shared table, which has a section of its own.
std::vector<FieldSpec> OwnFields(const FieldTable<TextRequest>& table) {
  std::vector<FieldSpec> own = Specs(table);
  own.resize(own.size() - GenerationFields().size() - ConditioningFields().size() -
             SamplingFields().size());
  return own;
}

TEST(ApiReferenceTest, EveryTableOfTheDocumentIsTheTableOfTheParser) {
  struct Case {
    const char* title;
    std::vector<FieldSpec> fields;
  };
  const std::string document = ReadFileOrDie(SourcePath("docs/api.md"));
  for (const Case& c : {Case{"Fields of chat completions", OwnFields(ChatFields())},
                        Case{"Fields of a message", Specs(MessageFields())},
                        Case{"Fields of completions", OwnFields(CompletionFields())},
                        Case{"Fields of both", Specs(GenerationFields())},
                        Case{"Fields of stream_options", Specs(StreamOptionsFields())},
                        Case{"States and adapters of both", Specs(ConditioningFields())},
                        Case{"Fields of a state in states", Specs(StateWeightFields())},
                        Case{"Fields of an adapter in adapters", Specs(AdapterWeightFields())},
                        Case{"Sampling fields of both", Specs(SamplingFields())},
                        Case{"Fields of states", Specs(StateFields())},
                        Case{"Fields of mixtures", Specs(MixtureFields())},
                        Case{"Fields of adapters", Specs(AdapterFields())},
                        Case{"Fields of defaults", Specs(DefaultsFields())},
                        Case{"Fields of tokenize", Specs(TokenizeFields())},
                        Case{"Fields of detokenize", Specs(DetokenizeFields())}}) {
    std::string expected;
    for (const FieldSpec& field : c.fields) absl::StrAppend(&expected, ReferenceRow(field), "\n");
    std::string found;
    for (const std::string& row : TableAfter(document, c.title)) absl::StrAppend(&found, row, "\n");
    EXPECT_EQ(found, expected) << "section \"" << c.title << "\" should read\n" << expected;
  }
}

}  // namespace
}  // namespace skein
