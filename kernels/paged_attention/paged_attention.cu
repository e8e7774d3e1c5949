#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/paged_attention/attention_call.h"
#include "kernels/paged_attention/paged_attention.h"

namespace skein {
namespace {

attention::Call MakeCall(const PagedAttentionArgs& args) {
  attention::Call call;
  call.q = args.q.data();
  call.y = args.y.data();
  call.q_type = args.q.dtype();
  call.y_type = args.y.dtype();
  call.keys = args.pages.keys;
  call.values = args.pages.values;
  call.kv_type = args.pages.dtype;
  call.table = args.pages.table.data();
  call.max_pages = static_cast<int>(args.pages.table.dim(1));
  call.page_tokens = static_cast<int>(args.pages.page_tokens);
  call.positions = args.positions.data();
  call.row_begin = args.sequences.row_begin.data();
  call.slots = args.sequences.slots.data();
  call.rows = static_cast<int>(args.q.dim(0));
  call.max_rows = static_cast<int>(args.sequences.max_rows);
  call.sequences = static_cast<int>(args.sequences.count());
  call.kv_heads = static_cast<int>(args.pages.kv_heads);
  call.head_dim = static_cast<int>(args.pages.head_dim);
  call.group = static_cast<int>(args.q.dim(1) / args.pages.head_dim / args.pages.kv_heads);
  call.width = args.q.dim(1);
  call.page_elements = args.pages.page_elements();
  return call;
}

}  // namespace

bool attention::OnTensorCores(const Call& call) {
  return (call.head_dim == 64 || call.head_dim == 96 || call.head_dim == 128) &&
         (call.kv_type == DType::kF16 || call.kv_type == DType::kBF16) && call.group <= 16 &&
         call.page_tokens % 8 == 0 && call.sequences <= kMaxSequences;
}

absl::Status PagedAttentionCuda(const PagedAttentionArgs& args, CudaContext& context) {
  const attention::Call call = MakeCall(args);
  if (call.rows == 0) return absl::OkStatus();
  if (call.head_dim > attention::kMaxHeadDim) {
    return absl::UnimplementedError(absl::StrCat("paged_attention: head size ", call.head_dim,
                                                 ", expected at most ", attention::kMaxHeadDim));
  }
  if (!attention::OnTensorCores(call)) return attention::LaunchPlain(call, context);
  RETURN_IF_ERROR(attention::LaunchDecode(call, context));
  return attention::LaunchPrefill(call, context);
}

}  // namespace skein
