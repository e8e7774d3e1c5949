// Brings the tensors that a model declares from its checkpoint into an arena.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/tensor/shape.h"
#include "common/tensor/tensor_view.h"
#include "kernels/device/arena.h"
#include "kernels/device/stream.h"
#include "kernels/linear/weight_matrix.h"
#include "worker/weights/model_files.h"

namespace skein {

class WeightUpload;

// What becomes of a checkpoint's values on their way into memory.
struct WeightChanges {
  // Of matrices: kF32, kBF16 or kF16; unset: the file's.
  std::optional<DType> matrix_type;
  // In place of the tensor `name` these values, row-major as in the file; nullopt leaves it as it
  // is. They are rounded once, to the type that it has in memory. May be null.
  std::function<absl::StatusOr<std::optional<std::vector<float>>>(const std::string& name)> edit;
};

// How a tensor lies in the checkpoint.
struct TensorOptions {
  bool optional = false;  // if absent, the view is left empty
  // Matrices: the file holds [cols, rows]; the view still gets [rows, cols].
  bool transposed = false;
  // Matrices: the view gets WeightMatrix::transposed, for kernels that walk input by input.
  bool input_major = false;
};

// A model declares all its tensors with the views to fill, asks how much memory they need, and
// loads them:
//
//   WeightLoader loader(files, stream);
//   loader.Matrix({"blocks.0.att.key.weight"}, width, width, &layer.key);
//   loader.Matrix({"blocks.0.att.w1"}, rank, width, &layer.w1, {.transposed = true});
//   loader.Vector({"blocks.0.att.k_k"}, {width}, &layer.k_k);
//   loader.Ignore("blocks.0.att.v?");
//   ASSIGN_OR_RETURN(const int64_t bytes, loader.PlanBytes());
//   ASSIGN_OR_RETURN(arena, CreateArena(stream, bytes));
//   RETURN_IF_ERROR(loader.Load(*arena, progress));
//
// Calls follow that order. Names are alternatives: the first that the checkpoint has is taken.
// Leading extents of 1 do not count when shapes are compared. Not thread-safe. The views must stay
// where they are until Load returns.
class WeightLoader {
 public:
  using Names = std::vector<std::string>;
  using Progress = std::function<void(int64_t bytes_done, int64_t bytes_total)>;

  // Weights go where `stream` computes.
  explicit WeightLoader(const ModelFiles& files, const Stream& stream = Stream(),
                        WeightChanges changes = {})
      : files_(files), stream_(stream), changes_(std::move(changes)) {}

  // Takes from `files` what is there, in place of what the views show, and leaves all other views
  // as they are. The names that the model declares go through `rename` first.
  using Rename = std::function<std::string(absl::string_view)>;
  static WeightLoader Replacing(const ModelFiles& files, const Stream& stream, Rename rename) {
    WeightLoader loader(files, stream);
    loader.rename_ = std::move(rename);
    return loader;
  }

  // Keeps fp32, bf16 and fp16 as they are, but for WeightChanges; fp64 becomes fp32. Other types
  // are an error.
  void Matrix(Names names, int64_t rows, int64_t cols, WeightMatrix* out,
              const TensorOptions& options = {});
  // Becomes fp32, whatever floating-point type the file has.
  void Vector(Names names, const Shape& shape, TensorView<const float>* out,
              const TensorOptions& options = {});
  // Tensors that may be there without being declared. '*' stands for any characters, '?' for one.
  void Ignore(std::string pattern);

  // Arena bytes that Load will take; the matrices have their types from here on. DataLoss with
  // every difference between declarations and checkpoint: tensors that are missing, of another
  // shape or type, or left over.
  absl::StatusOr<int64_t> PlanBytes();

  // Fills the views with slices of `arena`, which must outlive them. `progress` may be empty; it is
  // called on this thread about every 16 MiB and at the end. ResourceExhausted if the arena is
  // smaller than planned; DataLoss for a value that its type cannot hold, and for a file that was
  // cut.
  absl::Status Load(Arena& arena, const Progress& progress);

  // Hash of names, shapes and values of all loaded tensors, as they are in memory. Valid after
  // Load.
  uint64_t fingerprint() const { return fingerprint_; }
  // Elements of all tensors that are used. Valid after PlanBytes.
  int64_t num_parameters() const { return num_parameters_; }

 private:
  class Meter;
  struct Decl {
    Names names;
    Shape shape;  // as it will lie in memory
    TensorOptions options;
    WeightMatrix* matrix = nullptr;  // one of these two
    TensorView<const float>* floats = nullptr;

    // Set by PlanBytes.
    std::string found = {};     // the name that was taken; empty for an absent optional tensor
    TensorEntry source = {};    // as the file has it
    TensorEntry entry = {};     // seen as [rows, cols]
    DType dtype = DType::kF32;  // in memory

    int64_t bytes() const { return NumElements(shape) * DTypeBytes(dtype); }
  };

  void Resolve(Decl& decl, std::vector<std::string>& differences) const;
  void FindLeftovers(std::vector<std::string>& differences) const;
  absl::StatusOr<std::optional<std::vector<std::byte>>> Changed(const Decl& decl) const;
  TensorEntry InMemory(const Decl& decl, const TensorEntry& source) const;
  absl::Status LoadOne(Decl& decl, Arena& arena, WeightUpload& upload, Meter& meter) const;
  absl::Status Upload(const TensorEntry& entry, const Decl& decl, void* to, WeightUpload& upload,
                      Meter& meter) const;

  void Declare(Decl decl);

  const ModelFiles& files_;
  const Stream stream_;
  const WeightChanges changes_;
  Rename rename_;  // empty: all views are filled
  std::vector<Decl> decls_;
  std::vector<std::string> ignored_;
  int64_t total_bytes_ = 0;
  int64_t num_parameters_ = 0;
  uint64_t fingerprint_ = 0;
};

}  // namespace skein
