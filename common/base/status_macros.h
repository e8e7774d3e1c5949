// RETURN_IF_ERROR(status) and ASSIGN_OR_RETURN(lhs, statusor): pass an error on to the caller.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// NOLINTBEGIN(bugprone-macro-parentheses): `lhs` may be a declaration.
#define RETURN_IF_ERROR(expr)                      \
  do {                                             \
    ::absl::Status skein_status_ = (expr);         \
    if (!skein_status_.ok()) return skein_status_; \
  } while (false)

#define SKEIN_CONCAT_INNER(a, b) a##b
#define SKEIN_CONCAT(a, b) SKEIN_CONCAT_INNER(a, b)

#define ASSIGN_OR_RETURN(lhs, expr) \
  SKEIN_ASSIGN_OR_RETURN_IMPL(SKEIN_CONCAT(skein_statusor_, __LINE__), lhs, expr)

#define SKEIN_ASSIGN_OR_RETURN_IMPL(statusor, lhs, expr) \
  auto statusor = (expr);                                \
  if (!statusor.ok()) return statusor.status();          \
  lhs = std::move(statusor).value()
// NOLINTEND(bugprone-macro-parentheses)
