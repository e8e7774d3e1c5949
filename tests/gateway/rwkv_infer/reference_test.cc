// docs/rwkv-infer.md against the tables that read the bodies.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "gateway/rwkv_infer/load_model_body.h"
#include "gateway/rwkv_infer/state_bodies.h"
#include "gateway/rwkv_infer/text_bodies.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

// Rows of the table after the heading `title`, without its head.
std::string RowsAfter(const std::string& text, const std::string& title) {
  std::string rows;
  bool found = false;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "#")) found = line == absl::StrCat("### ", title);
    if (found && absl::StartsWith(line, "| `")) absl::StrAppend(&rows, line, "\n");
  }
  return rows;
}

TEST(RwkvInferReferenceTest, EveryTableOfTheDocumentIsTheTableOfTheParser) {
  struct Case {
    const char* title;
    std::vector<FieldSpec> fields;
  };
  const std::string document = ReadFileOrDie(SourcePath("docs/rwkv-infer.md"));
  for (const Case& c : {Case{"Fields of /loadmodel", Specs(LoadModelFields())},
                        Case{"Fields of /loadstatemodel", Specs(LoadStateFields())},
                        Case{"Fields of /mrss_loadstatemodel", Specs(LoadMixtureFields())},
                        Case{"Fields of /mrss_set_gatingweight", Specs(SetWeightsFields())},
                        Case{"Further fields of completions", Specs(ExtraFields())},
                        Case{"Fields of params", Specs(ParamsFields())}}) {
    std::string expected;
    for (const FieldSpec& field : c.fields) absl::StrAppend(&expected, ReferenceRow(field), "\n");
    EXPECT_EQ(RowsAfter(document, c.title), expected)
        << "section \"" << c.title << "\" should read\n"
        << expected;
  }
}

}  // namespace
}  // namespace skein
