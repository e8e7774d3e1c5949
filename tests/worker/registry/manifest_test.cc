#include "worker/registry/manifest.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/worker/weights/checkpoint_writer.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

const ManifestRules kRules = {.model = "demo"};

TEST(ManifestTest, StatesMixturesAndAdaptersAreRead) {
  TempFolder folder;
  folder.Write("m.txtpb", R"(
    state { name: "a" path: "a.pth" layout: STATE_LAYOUT_KEY_VALUE defaults { temperature: 0.5 } }
    state { name: "b" path: "b.pth" model: "demo" }
    mixture { name: "m" mix { states { name: "a" weight: 0.5 } states { weight: 0.5 } } }
    adapter { name: "l" path: "l.pth" alpha: 16 mole_rule: 1 })");
  const auto manifest = ReadManifest(folder.File("m.txtpb"), kRules);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->state_size(), 2);
  EXPECT_TRUE(Holds(*manifest, "demo", "m"));
  EXPECT_TRUE(Holds(*manifest, "demo", "l"));
  EXPECT_FALSE(Holds(*manifest, "demo", "c"));
}

TEST(ManifestTest, MistakesAreNamedWithTheFile) {
  struct Case {
    const char* text;
    const char* message;
  };
  TempFolder folder;
  for (const Case& c :
       {Case{"state { nam: 'a' }", ":1:"}, Case{"state { name: 'a' }", "state \"a\": no path"},
        Case{"state { name: '../a' path: 'p' }", "state: name: \"../a\""},
        Case{"state { name: 'a' path: 'p' } state { name: 'a' path: 'q' }",
             "\"a\": is there twice"},
        Case{"state { name: 'a' path: 'p' } mixture { name: 'a' mix { states { weight: 1 } } }",
             "\"a\": is there twice"},
        Case{"state { name: 'a' path: 'p' model: 'other' }", "is for model \"other\""},
        Case{"state { name: 'a' path: 'p' defaults { top_p: 2 } }", "defaults.top_p"},
        Case{"adapter { name: 'l' }", "adapter \"l\": no path"},
        Case{"adapter { name: 'l' path: 'p' mole_rule: 3 }", "l: mole_rule: 3"},
        Case{"state { name: 'a' path: 'p' } adapter { name: 'a' path: 'q' }",
             "\"a\": is there twice"},
        Case{"mixture { name: 'm' mix { states { name: 'a' weight: 1 } } }",
             "mixture \"m\": no state \"a\" in the same file"},
        Case{"mixture { name: 'm' mix { states { weight: 0 } } }", "all weights are 0"},
        Case{"mixture { name: 'm' }", "0 states, expected 1 to 8"}}) {
    folder.Write("m.txtpb", c.text);
    const absl::Status status = ReadManifest(folder.File("m.txtpb"), kRules).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(folder.File("m.txtpb")));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
  EXPECT_EQ(ReadManifest(folder.File("none"), kRules).status().code(), absl::StatusCode::kNotFound);
}

TEST(ManifestTest, EntriesMayBeForOtherModelsWhereTheyCanBeLoaded) {
  TempFolder folder;
  const std::string path = folder.File("m.txtpb");
  folder.Write("m.txtpb", R"(
    state { name: "a" path: "a.pth" }
    state { name: "a" path: "b.pth" model: "other" }
    mixture { name: "m" model: "other" mix { states { name: "a" weight: 1 } } })");
  const auto manifest = ReadManifest(path, {.model = "demo", .other_models = true});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_TRUE(Holds(*manifest, "demo", "a"));
  EXPECT_TRUE(Holds(*manifest, "other", "a"));
  EXPECT_TRUE(Holds(*manifest, "other", "m"));
  EXPECT_FALSE(Holds(*manifest, "demo", "m"));
  EXPECT_THAT(
      std::string(ReadManifest(path, {.model = "", .other_models = true}).status().message()),
      HasSubstr("\"a\": no model, expected one"));
  folder.Write("m.txtpb", R"(
    state { name: "a" path: "a.pth" }
    mixture { name: "m" model: "other" mix { states { name: "a" weight: 1 } } })");
  EXPECT_THAT(
      std::string(ReadManifest(path, {.model = "demo", .other_models = true}).status().message()),
      HasSubstr("mixture \"m\": no state \"a\" in the same file"));
}

TEST(ManifestTest, WhatIsKeptComesBack) {
  TempFolder folder;
  const std::string path = folder.File("kept.txtpb");
  EXPECT_EQ(ReadKept(path, "demo")->state_size(), 0);
  v1::RegistryManifest kept;
  kept.add_state()->set_name("日本\n\"語");
  kept.add_mixture()->set_name("m");
  kept.add_adapter()->set_name("l");
  for (auto* model :
       {kept.mutable_state(0)->mutable_model(), kept.mutable_mixture(0)->mutable_model()}) {
    *model = "demo";
  }
  kept.mutable_adapter(0)->set_model("other");
  ASSERT_TRUE(WriteKept(path, "demo", kept).ok());
  auto back = ReadKept(path, "demo");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->state(0).name(), kept.state(0).name());
  EXPECT_EQ(back->state(0).model(), "demo");
  EXPECT_EQ(back->adapter(0).model(), "other");
  Forget(*back, "demo", "m");
  Forget(*back, "demo", "l");
  Forget(*back, "demo", "unknown");
  EXPECT_EQ(back->mixture_size(), 0);
  EXPECT_EQ(back->state_size(), 1);
  EXPECT_EQ(back->adapter_size(), 1);
  ForgetAll(*back, kept);
  EXPECT_EQ(back->state_size() + back->adapter_size(), 0);
  folder.Write("kept.txtpb", "state {");
  EXPECT_EQ(ReadKept(path, "demo").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(WriteKept(folder.File("no/such/folder"), "demo", kept).code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace skein
