// What an architecture offers to the engine. It knows rows, slots and pages; requests and text are
// the engine's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"
#include "common/tensor/tensor_view.h"
#include "kernels/device/stream.h"

namespace skein {

struct Adapter;
struct BoundAdapter;
struct WkvFactors;

// The recurrent state of one sequence: one record of fixed size, made of fields. All zeros is the
// state before the first token.
struct StateField {
  std::string name;    // "shift_att", "shift_ffn", "wkv"
  int layer = 0;       // absolute index of the model's layer
  int64_t offset = 0;  // in bytes from the start of the record
  Shape shape;
  DType dtype = DType::kF32;
};
struct StateLayout {
  std::vector<StateField> fields;
  int64_t bytes = 0;  // of one record
};

// Keys and values of the attention layers; num_layers is 0 for pure RWKV models.
struct KvLayout {
  int num_layers = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  DType dtype = DType::kF32;

  // Keys and values of one token over all layers.
  int64_t bytes_per_token() const {
    return int64_t{2} * num_layers * num_kv_heads * head_dim * DTypeBytes(dtype);
  }
};

// The pools that a batch's slots and pages index. Owned by the engine.
struct StateView {
  void* base = nullptr;  // [slots, layout.bytes]
};
struct KvView {
  void* base = nullptr;  // [layer, 2 (K, V), num_pages, num_kv_heads, page_tokens, head_dim]
  int64_t num_pages = 0;
  int page_tokens = 0;
};

// Adjacent sequences whose rows have the same adapter. Where they have several, an entry with these
// very sequences follows for each: CheckApplied's rules hold for them.
struct AdapterRows {
  const BoundAdapter* adapter = nullptr;  // by Bind of the same model
  int64_t first_sequence = 0;
  int64_t num_sequences = 0;
  std::optional<float> scale = std::nullopt;  // of plain LoRAs, in place of their own
};

// A sequence whose WKV output is multiplied by factors.
struct SequenceFactors {
  int64_t sequence = 0;
  const WkvFactors* factors = nullptr;
};

// One step: rows of several sequences, each sequence's rows adjacent and in order. A decode is a
// sequence with one row, a chunk of a prompt one with many. All arrays are where the stream
// computes. On CUDA sequences with the slot -1 fill up a step of fixed size (SequenceRows).
struct ModelBatch {
  TensorView<const int32_t> tokens;     // [rows], ids in [0, vocab)
  TensorView<const int32_t> positions;  // [rows], the token's index in its sequence, from 0
  TensorView<const int32_t>
      row_begin;  // [sequences + 1]; sequence s has rows [row_begin[s], row_begin[s + 1])
  TensorView<const int32_t> slots;  // [sequences], read and updated in place; distinct
  TensorView<const int32_t>
      pages;  // [sequences, max_pages]: page of token t is pages[s][t / page_tokens]; may be empty
  TensorView<const int32_t> logit_rows;  // [outputs], rows whose logits are wanted, ascending
  StateView state;
  KvView kv;
  TensorView<float> logits;  // [outputs, vocab], written
  int64_t max_rows = 0;      // of the longest sequence
  // In order, in host memory; sequences of none have no adapter. CPU only.
  std::span<const AdapterRows> adapters = {};
  std::span<const SequenceFactors> factors = {};  // likewise; of other sequences they are 1

  int64_t num_rows() const { return tokens.dim(0); }
  int64_t num_sequences() const { return slots.dim(0); }
};

struct ModelDescription {
  std::string architecture;   // "rwkv7", "hybrid"
  std::string weight_format;  // of the matrices: "fp32", "bf16", "fp16"
  int64_t vocab_size = 0;
  int64_t num_layers = 0;
  int64_t num_parameters = 0;
  int64_t weight_bytes = 0;  // in memory
  uint64_t fingerprint = 0;  // hash of architecture, hyper-parameters and weights
};

// Not thread-safe: the step loop calls Forward, one call at a time.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelDescription& description() const = 0;
  virtual const StateLayout& state_layout() const = 0;
  virtual const KvLayout& kv_layout() const = 0;

  // What `adapter`, loaded for this model's tensors, changes in it. Any thread may call it beside
  // Forward. InvalidArgument for layers or forms that cannot be changed beside the weights,
  // Unimplemented where `stream` computes on a GPU and for models that take none.
  virtual absl::StatusOr<std::shared_ptr<const BoundAdapter>> Bind(
      std::shared_ptr<const Adapter> adapter, const Stream& stream) const;

  // At most `max_rows` rows, as given at load. A row's result depends on its sequence alone: not on
  // the other rows, nor on how its prompt was cut into steps. InvalidArgument for a batch that
  // breaks the rules above.
  virtual absl::Status Forward(const ModelBatch& batch, const Stream& stream) = 0;
};

}  // namespace skein
