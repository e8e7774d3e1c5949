#include "worker/registry/keeper.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/text_proto.h"
#include "tests/worker/registry/test_states.h"
#include "tests/worker/weights/checkpoint_writer.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// A state file is text, which becomes the content's hash; "bad" is damaged.
absl::StatusOr<TunedState> LoadText(const std::string& path, TunedStateLayout) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError("no such file");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (text == "bad") return absl::DataLossError("damaged");
  TunedState loaded;
  loaded.state = MakeState(text);
  return loaded;
}

// As LoadText, of as many bytes.
absl::StatusOr<LoadedAdapter> LoadAdapterText(const std::string& path,
                                              const AdapterOptions& options) {
  const auto text = LoadText(path, TunedStateLayout::kAutomatic);
  if (!text.ok()) return text.status();
  LoadedAdapter loaded;
  const std::string& content = text->state->content_hash;
  loaded.adapter = MakeBoundAdapter(
      absl::StrCat(content, options.scaling ? absl::StrCat(" * ", *options.scaling) : ""));
  loaded.bytes = static_cast<int64_t>(content.size());
  return loaded;
}

class KeeperTest : public ::testing::Test {
 protected:
  KeeperTest() {
    for (const std::string name : {"a", "b", "c"}) {
      folder_.Write("root/" + name, "content of " + name);
    }
    folder_.Write("root/damaged", "bad");
  }

  // As when a worker starts.
  absl::Status Start() {
    registry_ = std::make_unique<Registry>();
    auto keeper = RegistryKeeper::Create({.model = "demo",
                                          .other_models = other_models_,
                                          .roots = {folder_.File("root")},
                                          .manifest = manifest_,
                                          .kept = folder_.File("kept.txtpb"),
                                          .max_mix_states = 4,
                                          .max_adapter_bytes = 30});
    if (!keeper.ok()) return keeper.status();
    keeper_ = *std::move(keeper);
    return keeper_->Restore(target());
  }
  void WriteManifest(const std::string& text) {
    folder_.Write("manifest/m.txtpb", text);
    manifest_ = folder_.File("manifest/m.txtpb");
  }
  RegistryTarget target() { return {model_, *registry_, LoadText, LoadAdapterText}; }
  absl::Status LoadAdapter(const std::string& text) {
    v1::LoadAdapterRequest request;
    EXPECT_TRUE(ParseTextProto(text, "test", request).ok());
    return keeper_->LoadAdapter(target(), request).status();
  }
  absl::Status Load(const std::string& name, const std::string& path) {
    v1::LoadStateRequest request;
    request.set_model("demo");
    request.set_name(name);
    request.set_path(path);
    return keeper_->LoadState(target(), request).status();
  }
  absl::Status Define(const std::string& text) {
    v1::DefineMixtureRequest request;
    EXPECT_TRUE(ParseTextProto(text, "test", request).ok());
    return keeper_->DefineMixture(target(), request).status();
  }
  absl::Status Remove(const std::string& name, v1::EntryKind kind = v1::ENTRY_KIND_UNSPECIFIED) {
    v1::RemoveRequest request;
    request.set_name(name);
    request.set_kind(kind);
    return keeper_->Remove(target(), request);
  }
  // Names, with the content of states and adapters.
  std::map<std::string, std::string> Entries() const {
    std::map<std::string, std::string> all;
    for (const auto& [name, entry] : registry_->snapshot()->entries) {
      if (entry->kind == EntryKind::kState) all[name] = entry->state->content_hash;
      if (entry->kind == EntryKind::kMixture) all[name] = "mixture";
      if (entry->kind == EntryKind::kAdapter) {
        all[name] = "adapter: " + entry->adapter->adapter->content_hash;
      }
    }
    return all;
  }

  // Another model takes the place of the one that is served.
  absl::Status Switch(const std::string& model) {
    model_ = model;
    registry_ = std::make_unique<Registry>();
    return keeper_->Restore(target());
  }

  TempFolder folder_;
  std::string manifest_;
  std::string model_ = "demo";
  bool other_models_ = false;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<RegistryKeeper> keeper_;
};

constexpr char kMixtureOfX[] =
    "name: 'm' mix { states { name: 'x' weight: 1 } states { weight: 3 } } defaults { top_p: 0.5 }";

TEST_F(KeeperTest, WhatClientsRegisterIsThereAfterARestart) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Load("x", "a").ok());
  ASSERT_TRUE(Load("y", "b").ok());
  ASSERT_TRUE(Define(kMixtureOfX).ok());
  ASSERT_TRUE(Load("x", "c").ok());  // the same name replaces
  ASSERT_TRUE(Remove("y").ok());
  EXPECT_EQ(registry_->snapshot()->revision, 6u);
  ASSERT_TRUE(Start().ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("m", "mixture"), Pair("x", "content of c")));
  const auto entry = registry_->snapshot()->entries.at("m");
  EXPECT_EQ(entry->mix.parts[1].weight, 3);
  EXPECT_EQ(entry->defaults.top_p, 0.5f);
  EXPECT_EQ(registry_->snapshot()->entries.at("x")->path, "c");
}

TEST_F(KeeperTest, WhatCannotBeRestoredIsNotForgotten) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Load("x", "a").ok());
  ASSERT_TRUE(Load("y", "b").ok());
  ASSERT_TRUE(Define(kMixtureOfX).ok());
  std::filesystem::rename(folder_.File("root/a"), folder_.File("a"));
  ASSERT_TRUE(Start().ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("y", "content of b")));
  ASSERT_TRUE(Load("z", "c").ok());
  std::filesystem::rename(folder_.File("a"), folder_.File("root/a"));
  ASSERT_TRUE(Start().ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("m", "mixture"), Pair("x", "content of a"),
                                     Pair("y", "content of b"), Pair("z", "content of c")));
}

TEST_F(KeeperTest, AChangeThatFailsChangesNothing) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Load("x", "a").ok());
  ASSERT_TRUE(Define(kMixtureOfX).ok());
  const auto before = registry_->snapshot();
  EXPECT_EQ(Load("x", "damaged").code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Load("x", "none").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Load("x", "../a").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Load(" x", "a").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Load("m", "a").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Define("name: 'x' mix { states { weight: 1 } }").code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Define("name: 'n' mix { states { name: 'q' weight: 1 } }").code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Define("name: 'n' mix { states { name: 'm' weight: 1 } }").code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Remove("q").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Remove("x", v1::ENTRY_KIND_MIXTURE).code(), absl::StatusCode::kNotFound);
  const absl::Status needed = Remove("x");
  EXPECT_EQ(needed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(needed.message()), HasSubstr("mixture \"m\": needs the state \"x\""));
  std::filesystem::create_directory(folder_.File("kept.txtpb.new"));  // the file cannot be written
  EXPECT_EQ(Load("y", "b").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(registry_->snapshot(), before);
}

TEST_F(KeeperTest, AdaptersAreKeptReplacedAndRemovedAsStatesAre) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(LoadAdapter("name: 'l' path: 'a' scaling: 3").ok());
  ASSERT_TRUE(LoadAdapter("name: 'k' path: 'b'").ok());
  ASSERT_TRUE(LoadAdapter("name: 'k' path: 'c'").ok());
  ASSERT_TRUE(Load("x", "a").ok());
  const auto all = ElementsAre(Pair("k", "adapter: content of c"),
                               Pair("l", "adapter: content of a * 3"), Pair("x", "content of a"));
  EXPECT_THAT(Entries(), all);
  EXPECT_EQ(LoadAdapter("name: 'x' path: 'a'").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Load("k", "a").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(LoadAdapter("name: 'y' path: 'damaged'").code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(LoadAdapter("name: 'y' path: '../a'").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(LoadAdapter("name: 'y' path: 'a' mole_rule: 3").message(),
            "mole_rule: 3, expected 1, 2 or 0 for the current one");
  EXPECT_EQ(LoadAdapter("name: 'y' path: 'a' alpha: nan").code(),
            absl::StatusCode::kInvalidArgument);
  const absl::Status full = LoadAdapter("name: 'y' path: 'b'");
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()),
              HasSubstr("36 bytes with this one, expected at most 30"));
  EXPECT_EQ(Define("name: 'm' mix { states { name: 'k' weight: 1 } }").code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(Start().ok());
  EXPECT_THAT(Entries(), all);
  EXPECT_EQ(Remove("k", v1::ENTRY_KIND_STATE).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Remove("k", v1::ENTRY_KIND_ADAPTER).ok());
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(Entries().count("k"), 0u);
}

TEST_F(KeeperTest, AManifestHoldsAdaptersToo) {
  WriteManifest("adapter { name: 'l' path: '../root/a' alpha: 8 }");
  ASSERT_TRUE(Start().ok());
  const auto adapter = registry_->snapshot()->entries.at("l")->adapter;
  WriteManifest(
      "adapter { name: 'l' path: '../root/a' alpha: 8 } adapter { name: 'k' path: '../root/b' }");
  ASSERT_TRUE(keeper_->Reload(target()).ok());
  EXPECT_THAT(Entries(),
              ElementsAre(Pair("k", "adapter: content of b"), Pair("l", "adapter: content of a")));
  EXPECT_EQ(registry_->snapshot()->entries.at("l")->adapter, adapter);  // no second copy
  WriteManifest("adapter { name: 'l' path: '../root/damaged' }");
  EXPECT_THAT(std::string(keeper_->Reload(target()).message()), HasSubstr("adapter \"l\""));
  EXPECT_EQ(Entries().size(), 2u);
}

TEST_F(KeeperTest, TheManifestWinsForItsNames) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Load("x", "a").ok());
  ASSERT_TRUE(Load("y", "b").ok());
  WriteManifest(
      "state { name: 'x' path: '../root/c' } "
      "mixture { name: 'm' mix { states { name: 'x' weight: 1 } } }");
  const auto with_manifest =
      ElementsAre(Pair("m", "mixture"), Pair("x", "content of c"), Pair("y", "content of b"));
  ASSERT_TRUE(Start().ok());
  EXPECT_THAT(Entries(), with_manifest);
  ASSERT_TRUE(Load("x", "b").ok());
  ASSERT_TRUE(Remove("m").ok());
  const auto replaced = registry_->snapshot()->entries.at("x");
  ASSERT_EQ(replaced->warnings.size(), 1u);
  EXPECT_THAT(replaced->warnings[0], HasSubstr("manifest"));
  EXPECT_THAT(Entries(), ElementsAre(Pair("x", "content of b"), Pair("y", "content of b")));
  ASSERT_TRUE(Start().ok());
  EXPECT_THAT(Entries(), with_manifest);
}

TEST_F(KeeperTest, AReloadAddsReplacesAndRemovesWhatTheManifestHeld) {
  WriteManifest("state { name: 'x' path: '../root/a' } state { name: 'old' path: '../root/b' }");
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Load("y", "b").ok());
  ASSERT_TRUE(Load("n", "b").ok());
  const auto state = registry_->snapshot()->entries.at("x")->state;
  WriteManifest("state { name: 'x' path: '../root/a' } state { name: 'n' path: '../root/c' }");
  ASSERT_TRUE(keeper_->Reload(target()).ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("n", "content of c"), Pair("x", "content of a"),
                                     Pair("y", "content of b")));
  EXPECT_EQ(registry_->snapshot()->entries.at("x")->state, state);  // no second copy
  WriteManifest("");
  ASSERT_TRUE(keeper_->Reload(target()).ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("y", "content of b")));
  ASSERT_TRUE(Start().ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("y", "content of b")));
}

TEST_F(KeeperTest, ABrokenManifestIsAnErrorAndAtAReloadChangesNothing) {
  WriteManifest("state { name: 'x' path: '../root/a' }");
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Define(kMixtureOfX).ok());
  const auto before = registry_->snapshot();
  for (const char* broken :
       {"state {", "state { name: 'x' path: 'none' }",
        "state { name: 'x' path: '../root/damaged' }",
        "state { name: 'other' path: '../root/a' }"}) {  // a client's mixture needs x
    SCOPED_TRACE(broken);
    WriteManifest(broken);
    EXPECT_FALSE(keeper_->Reload(target()).ok());
    EXPECT_EQ(registry_->snapshot(), before);
  }
  std::filesystem::remove(folder_.File("kept.txtpb"));
  for (const char* broken : {"state {", "state { name: 'x' path: '../root/damaged' }"}) {
    WriteManifest(broken);
    const absl::Status status = Start();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(manifest_));
  }
}

TEST_F(KeeperTest, EveryModelHasEntriesOfItsOwn) {
  other_models_ = true;
  WriteManifest(R"(
    state { name: "x" path: "../root/a" }
    state { name: "x" path: "../root/b" model: "other" }
    state { name: "y" path: "../root/missing" model: "third" })");
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Load("z", "c").ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("x", "content of a"), Pair("z", "content of c")));

  ASSERT_TRUE(Switch("other").ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("x", "content of b")));
  ASSERT_TRUE(Load("z", "a").ok());  // the request names the model, which the worker has checked
  ASSERT_TRUE(Load("w", "a").ok());
  EXPECT_EQ(Switch("third").code(), absl::StatusCode::kNotFound);

  ASSERT_TRUE(Switch("demo").ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("x", "content of a"), Pair("z", "content of c")));
  ASSERT_TRUE(Remove("z").ok());

  ASSERT_TRUE(Start().ok());  // from the files
  EXPECT_THAT(Entries(), ElementsAre(Pair("x", "content of a")));
  ASSERT_TRUE(Switch("other").ok());
  EXPECT_THAT(Entries(), ElementsAre(Pair("w", "content of a"), Pair("x", "content of b"),
                                     Pair("z", "content of a")));
  ASSERT_TRUE(keeper_->Reload(target()).ok());
  EXPECT_EQ(Entries().size(), 3u);
}

}  // namespace
}  // namespace skein
