#include "gateway/routing/worker_handle.h"

#include <utility>

#include "gateway/routing/routing_table.h"

namespace skein {

WorkerLease::WorkerLease(std::shared_ptr<RoutingTable> table, uint64_t call)
    : table_(std::move(table)), call_(call) {}

WorkerLease::~WorkerLease() { table_->End(call_, nullptr); }

void WorkerLease::Answered() { table_->Answered(call_); }

void WorkerLease::Report(const absl::Status& outcome) { table_->End(call_, &outcome); }

}  // namespace skein
