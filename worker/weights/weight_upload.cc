#include "worker/weights/weight_upload.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "kernels/device/memory.h"

namespace skein {
namespace {

constexpr int64_t kStagingBytes = int64_t{32} << 20;
// Small enough for what was copied to be still in the cache when it is hashed.
constexpr int64_t kPieceBytes = 256 << 10;

}  // namespace

absl::StatusOr<std::unique_ptr<WeightUpload>> WeightUpload::Create(const Stream& stream) {
  std::unique_ptr<WeightUpload> upload(new WeightUpload(stream));
  if (stream.on_cpu()) return upload;
  for (std::unique_ptr<Arena>& staging : upload->staging_) {
    ASSIGN_OR_RETURN(staging, CreateStaging(stream, kStagingBytes));
  }
  return upload;
}

absl::Status WeightUpload::Pieces(
    void* to, int64_t bytes,
    absl::FunctionRef<absl::Status(std::byte* out, int64_t begin, int64_t end)> fill) {
  auto* const target = static_cast<std::byte*>(to);
  const int64_t load = stream_.on_cpu() ? bytes : kStagingBytes;
  for (int64_t begin = 0; begin < bytes; begin += load) {
    const int64_t end = std::min(begin + load, bytes);
    std::byte* const out =
        stream_.on_cpu() ? target : static_cast<std::byte*>(staging_[next_]->data());
    for (int64_t at = begin; at < end; at += kPieceBytes) {
      RETURN_IF_ERROR(fill(out + (at - begin), at, std::min(at + kPieceBytes, end)));
    }
    if (stream_.on_cpu()) continue;
    // The other buffer's copy was enqueued before this one's filling: it has had that time.
    RETURN_IF_ERROR(Synchronize(stream_));
    RETURN_IF_ERROR(Copy(stream_, target + begin, out, end - begin));
    next_ = 1 - next_;
  }
  return absl::OkStatus();
}

absl::Status WeightUpload::Whole(void* to, int64_t bytes,
                                 absl::FunctionRef<absl::Status(std::byte*)> make,
                                 absl::FunctionRef<void(const std::byte*)> seen) {
  if (stream_.on_cpu()) {
    RETURN_IF_ERROR(make(static_cast<std::byte*>(to)));
    seen(static_cast<const std::byte*>(to));
    return absl::OkStatus();
  }
  std::vector<std::byte> whole(bytes);
  RETURN_IF_ERROR(make(whole.data()));
  seen(whole.data());
  return Pieces(to, bytes, [&](std::byte* out, int64_t begin, int64_t end) {
    std::copy(whole.begin() + begin, whole.begin() + end, out);
    return absl::OkStatus();
  });
}

absl::Status WeightUpload::Finish() { return Synchronize(stream_); }

}  // namespace skein
