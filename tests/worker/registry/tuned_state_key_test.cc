#include "worker/registry/tuned_state_key.h"

#include <string>

#include "gtest/gtest.h"

#include "worker/registry/tuned_state.h"

namespace skein {
namespace {

TEST(TunedStateKeyTest, ReadsNativeAndHuggingFaceNamesBehindPrefixes) {
  struct Case {
    const char* name;
    TunedStatePart part;
    int64_t layer;
  };
  for (const Case& c :
       {Case{"blocks.0.att.time_state", TunedStatePart::kTimeState, 0},
        Case{"model.blocks.31.att.time_state", TunedStatePart::kTimeState, 31},
        Case{"base_model.model.blocks.7.att.time_state", TunedStatePart::kTimeState, 7},
        Case{"model.layers.12.self_attn.time_state", TunedStatePart::kTimeState, 12},
        Case{"layers.12.self_attn.time_state", TunedStatePart::kTimeState, 12},
        Case{"base_model.model.model.layers.3.mlp.ts_state", TunedStatePart::kChannelShift, 3},
        Case{"blocks.1.att.ts_state", TunedStatePart::kTimeMixShift, 1},
        Case{"blocks.1.ffn.ts_state", TunedStatePart::kChannelShift, 1},
        Case{"blocks.1.att.time_offset", TunedStatePart::kTimeOffset, 1},
        Case{"blocks.1.att.time_offset_y", TunedStatePart::kTimeOffsetY, 1},
        Case{"model.layers.1.self_attn.time_offset2", TunedStatePart::kTimeOffset2, 1}}) {
    SCOPED_TRACE(c.name);
    const auto key = ParseTunedStateKey(c.name);
    ASSERT_TRUE(key.has_value());
    EXPECT_EQ(*key, (TunedStateKey{c.part, c.layer}));
    EXPECT_EQ(ParseTunedStateKey(TunedStateKeyName(*key)), key);
    EXPECT_TRUE(IsTunedStateKey(c.name));
  }
}

TEST(TunedStateKeyTest, LeavesAllOtherNamesAlone) {
  for (const char* name :
       {"", "blocks", "blocks.", "blocks..att.time_state", "blocks.x.att.time_state",
        "blocks.-1.att.time_state", "blocks.+1.att.time_state", "blocks. 1.att.time_state",
        "blocks.01.att.time_state", "blocks.1234567.att.time_state",
        "blocks.1.att.time_state.weight", "blocks.1.att.time_states", "blocks.1.ffn.time_state",
        "blocks.1.self_attn.time_state", "layers.1.att.time_state", "xblocks.1.att.time_state",
        "my.model.blocks.1.att.time_state", "model.model.model.blocks.1.att.time_state",
        "blocks.1.att.key.lora_A"}) {
    EXPECT_FALSE(IsTunedStateKey(name)) << name;
  }
}

}  // namespace
}  // namespace skein
