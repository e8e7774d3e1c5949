#include "worker/adapters/adapter_name.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace skein {
namespace {

using Components = std::vector<absl::string_view>;
using Part = AdapterKey::Part;
using Kind = AdapterKey::Kind;

struct Translation {
  absl::string_view from, to;
};

constexpr Translation kFirst[] = {
    {"layers", "blocks"},  {"norm", "ln_out"},  {"embed_tokens", "emb"},
    {"embeddings", "emb"}, {"lm_head", "head"},
};
// The third component, behind "blocks.N".
constexpr Translation kSub[] = {
    {"self_attn", "att"},       {"attn", "att"},      {"mlp", "ffn"},
    {"input_layernorm", "ln1"}, {"attn_norm", "ln1"}, {"post_attention_layernorm", "ln2"},
    {"ffn_norm", "ln2"},        {"pre_norm", "ln0"},
};
// Behind those.
constexpr Translation kInAttention[] = {{"r_norm", "ln_r"}, {"q_norm", "ln_r"}, {"k_norm", "ln_k"}};
constexpr Translation kInFlaAttention[] = {{"r_proj", "receptance"},
                                           {"k_proj", "key"},
                                           {"v_proj", "value"},
                                           {"o_proj", "output"},
                                           {"g_norm", "ln_x"}};
constexpr Translation kInMlp[] = {
    {"gate_proj", "gate"}, {"up_proj", "up"}, {"down_proj", "down"}, {"gate_up_proj", "gate_up"}};

struct PartName {
  absl::string_view name;
  Part part;
};
constexpr PartName kParts[] = {
    {"lora_A", Part::kLoraA},
    {"lora_B", Part::kLoraB},
    {"lora_M", Part::kColumnMagnitude},
    {"lora_magnitude_vector", Part::kRowMagnitude},
    {"init_lora_A", Part::kInitLoraA},
    {"init_lora_B", Part::kInitLoraB},
    {"bone", Part::kBlock},
    {"disha", Part::kBlock},
    {"bone_block", Part::kBlock},
    {"miss_block", Part::kBlock},
    {"lora_embedding_A", Part::kEmbeddingLora},
    {"lora_embedding_B", Part::kEmbeddingLora},
};
// Under an expert; the number is always 0.
constexpr PartName kExpertParts[] = {
    {"lora_A_expert_0", Part::kLoraA},
    {"lora_B_expert_0", Part::kLoraB},
    {"bone_expert_0", Part::kBlock},
};
constexpr absl::string_view kStateNames[] = {"time_state", "time_offset", "time_offset_y",
                                             "time_offset2", "ts_state"};

template <size_t kCount>
void Translate(const Translation (&table)[kCount], absl::string_view& component) {
  for (const Translation& entry : table) {
    if (component == entry.from) {
      component = entry.to;
      return;
    }
  }
}

template <size_t kCount>
std::optional<Part> FindPart(const PartName (&table)[kCount], absl::string_view component) {
  for (const PartName& entry : table) {
    if (component == entry.name) return entry.part;
  }
  return std::nullopt;
}

Components NativeComponents(absl::string_view name) {
  Components c = absl::StrSplit(name, '.');
  if (c.size() > 1 && c[0] == "base_model") c.erase(c.begin());
  while (c.size() > 1 && c[0] == "model") c.erase(c.begin());
  Translate(kFirst, c[0]);
  if (c[0] != "blocks" || c.size() < 3) return c;
  const absl::string_view sub = c[2];
  Translate(kSub, c[2]);
  if (c.size() < 4) return c;
  if (sub == "attn") Translate(kInFlaAttention, c[3]);
  if (c[2] == "att") Translate(kInAttention, c[3]);
  if (c[2] == "ffn") Translate(kInMlp, c[3]);
  return c;
}

std::string Joined(const Components& c, size_t count) {
  return absl::StrJoin(c.begin(), c.begin() + static_cast<ptrdiff_t>(count), ".");
}

// What may stand behind the name of a part: nothing, "weight", an adapter's name, or both.
bool IsPartTail(const Components& c, size_t part_index) {
  const size_t rest = c.size() - part_index - 1;
  return rest == 0 || rest == 1 || (rest == 2 && c.back() == "weight");
}

// blocks.N.ffn.expert_E.{key,value}.PART, blocks.N.ffn.router..., blocks.N.ffn.moe_info
bool ParseMole(const Components& c, AdapterKey& key) {
  constexpr size_t kAt = 3;
  constexpr absl::string_view kExpert = "expert_";
  if (c.size() <= kAt || c[0] != "blocks" || c[2] != "ffn") return false;
  key.module = Joined(c, kAt);
  if (c[kAt] == "moe_info") {
    key.kind = Kind::kMoleInfo;
    return c.size() == kAt + 1;
  }
  if (c[kAt] == "router") {
    const bool known = c.size() == kAt + 3 && c[kAt + 1] == "linear";
    key.kind = known && c.back() == "bias" ? Kind::kOldRouter : Kind::kRouter;
    return known && (c.back() == "weight" || c.back() == "bias");
  }
  if (!absl::StartsWith(c[kAt], kExpert) || c.size() < kAt + 3) return false;
  const std::optional<Part> part = FindPart(kExpertParts, c[kAt + 2]);
  if (!part.has_value() || !IsPartTail(c, kAt + 2)) return false;
  if (!absl::SimpleAtoi(c[kAt].substr(kExpert.size()), &key.expert)) return false;
  if (c[kAt] != absl::StrCat(kExpert, key.expert)) return false;  // no signs, no leading zeros
  key.kind = Kind::kExpert;
  key.part = *part;
  key.expert_value = c[kAt + 1] == "value";
  return key.expert >= 0 && (key.expert_value || c[kAt + 1] == "key");
}

bool ParsePart(absl::string_view name, const Components& c, AdapterKey& key) {
  for (size_t i = 1; i < c.size(); ++i) {
    const std::optional<Part> part = FindPart(kParts, c[i]);
    if (!part.has_value()) continue;
    if (!IsPartTail(c, i)) return false;
    key.kind = Kind::kModule;
    key.module = Joined(c, i);
    key.file_module = std::string(name.substr(0, c[i].data() - name.data() - 1));
    key.part = *part;
    return true;
  }
  return false;
}

}  // namespace

std::string NativeName(absl::string_view name) {
  return absl::StrJoin(NativeComponents(name), ".");
}

AdapterKey ParseAdapterKey(absl::string_view name) {
  const Components c = NativeComponents(name);
  AdapterKey key;
  if (std::find(std::begin(kStateNames), std::end(kStateNames), c.back()) !=
      std::end(kStateNames)) {
    key.kind = Kind::kState;
    key.module = Joined(c, c.size());
    return key;
  }
  if (ParseMole(c, key) || ParsePart(name, c, key)) return key;
  key = AdapterKey();
  key.module = Joined(c, c.size());
  return key;
}

absl::string_view AdapterPartName(AdapterKey::Part part) {
  if (part == Part::kBlock) return "block";
  for (const PartName& entry : kParts) {
    if (entry.part == part) return entry.name;
  }
  return "unknown";
}

}  // namespace skein
