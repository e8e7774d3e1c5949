#include "worker/layers/step_adapters.h"

#include <algorithm>

namespace skein {
namespace {

// Only a plain LoRA takes a scale that is not its own.
std::optional<float> ScaleFor(const AdapterModule& module, const std::optional<float>& scale) {
  return module.form == AdapterForm::kLowRank ? scale : std::nullopt;
}

}  // namespace

void StepAdapters::Plan(const Sizes& sizes, BufferPlan& plan) {
  sizes_ = sizes;
  plan.AddFloats(sizes.widest_input, &input_);
  plan.AddFloats(kMaxAdapterRank, &inner_);
  if (sizes.experts_width == 0) return;
  plan.AddFloats(sizes.experts_width, &bare_);
  plan.AddFloats(sizes.width, &side_);
  plan.AddFloats(kMaxAdapterRank + 2 * std::max(sizes.width, sizes.experts_width), &workspace_);
}

void StepAdapters::Begin(const ModelBatch& batch) {
  rows_ = batch.num_rows();
  outputs_ = batch.logit_rows.dim(0);
  groups_.clear();
  const int32_t* const outputs = batch.logit_rows.data();
  for (const AdapterRows& rows : batch.adapters) {
    Group group = {rows.adapter, rows.scale};
    group.begin = batch.row_begin[rows.first_sequence];
    const int64_t end = batch.row_begin[rows.first_sequence + rows.num_sequences];
    group.count = end - group.begin;
    group.first_output = std::lower_bound(outputs, outputs + outputs_, group.begin) - outputs;
    group.num_outputs =
        std::lower_bound(outputs, outputs + outputs_, end) - outputs - group.first_output;
    groups_.push_back(group);
  }
}

ProductAdapters StepAdapters::Around(const Segments& segments, int64_t rows, int64_t inputs) const {
  if (segments.empty()) return {};
  return {segments, input_.Floats(rows, inputs),
          inner_.Floats(rows, std::max<int64_t>(InnerColumns(segments), 1))};
}

// Behind the segments of the same rows, or in front of them if it does more than to add.
void StepAdapters::Add(const AdapterSegment& segment, Segments& segments) {
  size_t first = segments.size();
  while (first > 0 && segments[first - 1].same_rows(segment)) --first;
  segments.insert(segment.module->adds_only() ? segments.end() : segments.begin() + first, segment);
  int64_t column = 0;
  for (size_t i = first; i < segments.size(); ++i) {
    segments[i].column = column;
    column += segments[i].module->rank;
  }
}

ProductAdapters StepAdapters::At(AdapterPlace place, int64_t inputs) {
  Segments& segments = segments_[static_cast<size_t>(place)];
  segments.clear();
  for (const Group& group : groups_) {
    const AdapterModule* const module = group.adapter->modules[PlaceIndex(layer_, place)];
    if (module == nullptr) continue;
    Add({module, group.begin, group.count, ScaleFor(*module, group.scale)}, segments);
  }
  return Around(segments, rows_, inputs);
}

LayerExperts StepAdapters::Experts() {
  experts_.clear();
  for (const Group& group : groups_) {
    const MoleExperts* const experts = group.adapter->experts[layer_];
    if (experts != nullptr) experts_.push_back({experts, group.begin, group.count, group.scale});
  }
  if (experts_.empty()) return {};
  return {experts_, bare_.Floats(rows_, sizes_.experts_width), side_.Floats(rows_, sizes_.width),
          workspace_.Floats(rows_, MoleWorkspace(experts_))};
}

ProductAdapters StepAdapters::AtHead() {
  Segments& segments = segments_[0];
  segments.clear();
  for (const Group& group : groups_) {
    const AdapterModule* const module = group.adapter->modules[HeadPlaceIndex(sizes_.num_layers)];
    if (module == nullptr || group.num_outputs == 0) continue;
    Add({module, group.first_output, group.num_outputs, ScaleFor(*module, group.scale)}, segments);
  }
  return Around(segments, outputs_, sizes_.width);
}

}  // namespace skein
