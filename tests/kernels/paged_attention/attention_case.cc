#include "tests/kernels/paged_attention/attention_case.h"

#include <algorithm>
#include <cstring>

namespace skein {
namespace {

void CopyHead(const ActivationView& from, int64_t from_at, int64_t n, void* to, int64_t to_at) {
  const int64_t size = DTypeBytes(from.dtype());
  std::memcpy(static_cast<char*>(to) + to_at * size,
              static_cast<const char*>(from.data()) + from_at * size, n * size);
}

}  // namespace

KvPages AttentionPages(TestTensors& t, const AttentionSizes& s) {
  int64_t most = 0;
  for (size_t i = 0; i < s.seen.size(); ++i) {
    most = std::max<int64_t>(most, s.seen[i] + s.lengths[i]);
  }
  const int64_t per_sequence = (most + s.page_tokens - 1) / s.page_tokens;
  const int64_t sequences = static_cast<int64_t>(s.seen.size());
  KvPages pages;
  pages.num_pages = per_sequence * sequences + 1;
  pages.page_tokens = s.page_tokens;
  pages.kv_heads = s.kv_heads;
  pages.head_dim = s.n;
  const ActivationView keys = t.OutputOperand({pages.num_pages, pages.page_elements()});
  pages.keys = keys.data();
  pages.dtype = keys.dtype();
  pages.values = t.OutputOperand({pages.num_pages, pages.page_elements()}).data();
  std::vector<int32_t> table;
  for (int64_t i = 0; i < sequences; ++i) {
    for (int64_t j = 0; j < per_sequence; ++j) {
      table.push_back(static_cast<int32_t>((per_sequence - 1 - j) * sequences + i + 1));
    }
  }
  pages.table = TensorView<const int32_t>(t.Ints(table).data(), {sequences, per_sequence});
  return pages;
}

PagedAttentionArgs MakeAttention(TestTensors& t, const AttentionSizes& s) {
  PagedAttentionArgs args;
  args.sequences = t.Sequences(s.lengths);
  const Shape shape = {args.sequences.rows(), s.heads * s.n};
  args.q = s.float_queries ? ActivationView(t.Random(shape, -3.0f, 3.0f))
                           : t.RandomOperand(shape, -3.0f, 3.0f);
  args.y = t.OutputOperand(shape);
  std::vector<int32_t> positions;
  for (size_t i = 0; i < s.seen.size(); ++i) {
    for (int32_t j = 0; j < s.lengths[i]; ++j) positions.push_back(s.seen[i] + j);
  }
  args.positions = t.Ints(positions);
  args.pages = AttentionPages(t, s);
  for (size_t i = 0; i < s.seen.size(); ++i) {
    const int64_t tokens = s.seen[i] + s.lengths[i];
    const ActivationView k = t.RandomOperand({tokens, s.kv_heads, s.n}, -2.0f, 2.0f);
    const ActivationView v = t.RandomOperand({tokens, s.kv_heads, s.n});
    for (int64_t j = 0; j < tokens * s.kv_heads; ++j) {
      const int64_t to = args.pages.Offset(static_cast<int64_t>(i), j / s.kv_heads, j % s.kv_heads);
      CopyHead(k, j * s.n, s.n, args.pages.keys, to);
      CopyHead(v, j * s.n, s.n, args.pages.values, to);
    }
  }
  return args;
}

}  // namespace skein
