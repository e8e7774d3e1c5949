#include "tools/skein-bench/session.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "common/base/status_macros.h"

namespace skein::bench {
namespace {

constexpr int64_t kMinSequences = 8;  // for counting zeros
constexpr int64_t kMinRows = 256;     // of one step, for prompts
constexpr int64_t kMinTokens = 64;

}  // namespace

int64_t SessionRows(int64_t sequences) { return std::max(sequences, kMinRows); }

absl::StatusOr<Session> Session::Open(const BenchOptions& options, const SessionSize& size,
                                      std::ostream& out) {
  Session session;
  EngineSize engine_size;
  engine_size.sequences = std::max(size.sequences, kMinSequences);
  engine_size.tokens_per_sequence = std::max(size.tokens, kMinTokens);
  engine_size.max_rows = size.max_rows > 0 ? size.max_rows : SessionRows(size.sequences);
  ASSIGN_OR_RETURN(session.engine_, Engine::Create(options.engine, engine_size));
  Engine& engine = *session.engine_;
  ASSIGN_OR_RETURN(session.ceilings_, KnowCeilings(options, engine.device()));
  ASSIGN_OR_RETURN(session.zeros_, MeasureHiddenZeros(engine));
  const random_model::ModelShape& shape = options.engine.shape;
  RETURN_IF_ERROR(CheckHiddenZeros(session.zeros_, shape.ffn_zeros, shape.width));

  Line about = About(options, engine.device());
  AddModel(options, about);
  about.push_back({"load seconds", engine.load_seconds()});
  AddCeilings(session.ceilings_, about);
  if (!session.zeros_.by_row.empty()) {
    about.push_back({"hidden zeros %", 100 * session.zeros_.mean()});
    about.push_back({"live in 2 rows %", 100 * session.zeros_.LiveShare(2)});
    about.push_back({"live in 8 rows %", 100 * session.zeros_.LiveShare(8)});
  }
  session.report_ = std::make_unique<Report>(out, std::move(about));
  return session;
}

}  // namespace skein::bench
