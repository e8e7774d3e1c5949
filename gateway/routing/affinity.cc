#include "gateway/routing/affinity.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "gateway/routing/stable_hash.h"

namespace skein {
namespace {

constexpr size_t kTextBytes = 256;
constexpr int kTokens = 64;
constexpr size_t kTurnBytes = 4096;  // of each turn: a long system prompt may differ late

uint64_t HashTurns(const v1::Chat& chat, uint64_t hash) {
  for (const v1::ChatTurn& turn : chat.turns()) {
    hash = StableHash(turn.role(), hash);
    hash = StableHash(absl::string_view(turn.content()).substr(0, kTurnBytes), hash);
    if (turn.role() == "user") break;
  }
  return hash;
}

uint64_t HashTokens(const v1::TokenIds& tokens, uint64_t hash) {
  for (int i = 0; i < std::min(tokens.ids_size(), kTokens); ++i) {
    hash = StableHash(absl::StrCat(tokens.ids(i)), hash);
  }
  return hash;
}

uint64_t HashPrompt(const v1::Prompt& prompt, uint64_t hash) {
  switch (prompt.kind_case()) {
    case v1::Prompt::kChat:
      return HashTurns(prompt.chat(), hash);
    case v1::Prompt::kTokens:
      return HashTokens(prompt.tokens(), hash);
    case v1::Prompt::kText:
      return StableHash(absl::string_view(prompt.text()).substr(0, kTextBytes), hash);
    case v1::Prompt::KIND_NOT_SET:
      break;
  }
  return hash;
}

}  // namespace

// An adapter without a name is none that a key may use, nor one that a worker has.
std::vector<std::string> EntriesOf(const v1::Conditioning& conditioning) {
  std::vector<std::string> entries;
  if (!conditioning.entry().empty()) entries.push_back(conditioning.entry());
  for (const v1::StateWeight& state : conditioning.mix().states()) {
    if (!state.name().empty()) entries.push_back(state.name());
  }
  for (const v1::AdapterWeight& adapter : conditioning.adapters()) {
    entries.push_back(adapter.name());
  }
  return entries;
}

PickRequest PickRequestFor(const v1::GenerateRequest& request, absl::string_view key) {
  PickRequest pick;
  pick.model = request.model();
  pick.entries = EntriesOf(request.conditioning());
  pick.sequences = static_cast<int>(std::clamp(request.n(), 1u, 1024u));
  if (!key.empty()) {
    pick.affinity_key = std::string(key);
    return pick;
  }
  uint64_t hash = 0;
  for (const std::string& entry : pick.entries) hash = StableHash(entry, hash);
  pick.affinity_key = absl::StrFormat("%016x", HashPrompt(request.prompt(), hash));
  return pick;
}

}  // namespace skein
