#include "kernels/kv_append/kv_append.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/cpu/reference.h"
#include "tests/kernels/paged_attention/attention_case.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

TEST(KvAppendTest, PutsNormedKeysAndPlainValuesAtTheirPositions) {
  const AttentionSizes sizes = {4, 2, 20, {3, 17}, {2, 1}, 4};
  for (const bool norms : {false, true}) {
    TestTensors t(1);
    ParallelFor threads(2);
    KvAppendArgs args;
    args.sequences = t.Sequences(sizes.lengths);
    args.q = t.Random({3, 80});
    args.k = t.Random({3, 40});
    args.v = t.Random({3, 40});
    if (norms) {
      args.q_norm = t.Random({20});
      args.k_norm = t.Random({20});
    }
    args.positions = t.Ints({3, 4, 17});
    args.pages = AttentionPages(t, sizes);
    std::vector<float> q = Collect({args.q});
    ASSERT_TRUE(args.Validate().ok()) << args.Validate();
    KvAppendCpu(args, threads);
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t h = 0; h < 2; ++h) {
        const int64_t at = args.pages.Offset(row / 2, args.positions[row], h);
        std::vector<float> key(args.k.row(row) + h * 20, args.k.row(row) + h * 20 + 20);
        if (norms) RmsNormRef(key.data(), args.k_norm.data(), 1e-6, 20, key.data());
        const std::vector<float> found(args.pages.key_floats() + at,
                                       args.pages.key_floats() + at + 20);
        EXPECT_LE(WorstError(found, key), norms ? 1e-6 : 0.0);
        EXPECT_TRUE(std::equal(args.v.row(row) + h * 20, args.v.row(row) + h * 20 + 20,
                               args.pages.value_floats() + at));
      }
      for (int64_t h = 0; h < 4 && norms; ++h) {
        float* head = q.data() + row * 80 + h * 20;
        RmsNormRef(head, args.q_norm.data(), 1e-6, 20, head);
      }
    }
    EXPECT_LE(WorstError(Collect({args.q}), q), norms ? 1e-6 : 0.0);
  }
}

#if SKEIN_CUDA

// Three sequences of which one has no slot, over pages that begin with values of their own.
KvAppendArgs Make(TestTensors& t, int64_t n, bool norms, bool float_inputs,
                  const std::vector<int32_t>& lengths) {
  const AttentionSizes sizes = {6, 2, n, {3, 17, 40}, lengths, 8};
  KvAppendArgs args;
  args.sequences = t.Sequences(lengths);
  const int64_t rows = args.sequences.rows();
  const auto input = [&](const Shape& shape) {
    return float_inputs ? ActivationView(t.Random(shape)) : t.RandomOperand(shape);
  };
  args.q = input({rows, 6 * n});
  args.k = input({rows, 2 * n});
  args.v = input({rows, 2 * n});
  if (norms) {
    args.q_norm = t.Random({n});
    args.k_norm = t.Random({n});
  }
  std::vector<int32_t> positions;
  for (size_t i = 0; i < lengths.size(); ++i) {
    for (int32_t j = 0; j < lengths[i]; ++j) positions.push_back(sizes.seen[i] + j);
  }
  args.positions = t.Ints(positions);
  args.pages = AttentionPages(t, sizes);
  args.pages.keys = t.RandomOperand({args.pages.num_pages, args.pages.page_elements()}).data();
  args.pages.values = t.RandomOperand({args.pages.num_pages, args.pages.page_elements()}).data();
  return args;
}

Outputs Written(const KvAppendArgs& args) {
  const Shape shape = {args.pages.num_pages, args.pages.page_elements()};
  return {args.q, ActivationView(args.pages.keys, args.pages.dtype, shape),
          ActivationView(args.pages.values, args.pages.dtype, shape)};
}

void Reference(const KvAppendArgs& args) {
  ParallelFor threads(1);
  KvAppendCpu(args, threads);
}

TEST(KvAppendTest, OnCudaWritesWhatTheCpuWritesAndNothingElse) {
  for (const DType operand : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const int64_t n : {10, 64, 96, 128}) {
      for (const bool norms : {false, true}) {
        for (const std::vector<int32_t>& lengths :
             {std::vector<int32_t>{1, 1, 1}, std::vector<int32_t>{5, 1, 9}}) {
          const bool float_inputs = lengths[0] == 1;
          const std::function<KvAppendArgs(TestTensors&)> make = [&](TestTensors& t) {
            return Make(t, n, norms, float_inputs, lengths);
          };
          const double tolerance = operand == DType::kF32   ? 1e-6
                                   : operand == DType::kF16 ? 5e-4
                                                            : 4e-3;
          ExpectNearReferenceOnCuda<KvAppendArgs>(make, KvAppendCuda, Reference, Written, tolerance,
                                                  operand);
        }
      }
    }
  }
}

TEST(KvAppendTest, OnCudaSkipsSequencesWithoutASlot) {
  if (!HasGpu()) return;
  TestTensors before(1, PinnedAllocate, DType::kF16, DType::kF16);
  TestTensors tensors(1, PinnedAllocate, DType::kF16, DType::kF16);
  const KvAppendArgs untouched = Make(before, 64, true, false, {2, 3, 1});
  const KvAppendArgs args = Make(tensors, 64, true, false, {2, 3, 1});
  for (int64_t i = 0; i < 3; ++i) const_cast<int32_t&>(args.sequences.slots[i]) = -1;
  std::fill_n(const_cast<int32_t*>(args.pages.table.data()), args.pages.table.size(), -1);
  ASSERT_TRUE(KvAppendCuda(args, TestCudaContext()).ok());
  ASSERT_TRUE(Synchronize().ok());
  EXPECT_TRUE(SameBits(Collect(Written(args)), Collect(Written(untouched))));
}

#endif

}  // namespace
}  // namespace skein
