// Clock and summary of repeated measurements.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace skein::bench {

// Seconds of the steady clock.
inline double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// `values` is not empty. Of an even number the lower middle one.
inline double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace skein::bench
