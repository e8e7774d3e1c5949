// A first-in-first-out queue of at most `capacity` items between threads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace skein {

// Thread-safe: any number of pushers and poppers.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}
  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  // False, with `item` untouched, if the queue is full or closed. Never blocks.
  bool TryPush(T&& item) {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(item));
    }
    not_empty_.notify_one();
    return true;
  }

  // For commands that must not be lost, such as a cancellation: ignores the capacity. False if
  // closed.
  bool PushUrgent(T&& item) {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (closed_) return false;
      items_.push_back(std::move(item));
    }
    not_empty_.notify_one();
    return true;
  }

  // Everything that is queued now, possibly nothing. Never blocks.
  std::vector<T> PopAll() {
    const std::lock_guard<std::mutex> lock(mu_);
    return TakeAllLocked();
  }

  // Waits until there is an item or the queue is closed, then takes everything. Empty means closed.
  std::vector<T> WaitPopAll() {
    std::unique_lock<std::mutex> lock(mu_);
    not_empty_.wait(lock, [this] { return closed_ || !items_.empty(); });
    return TakeAllLocked();
  }

  // Waits for one item; nullopt once the queue is closed and empty.
  std::optional<T> WaitPop() {
    std::unique_lock<std::mutex> lock(mu_);
    not_empty_.wait(lock, [this] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  // Pushes fail from now on; what is queued can still be popped.
  void Close() {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      closed_ = true;
    }
    not_empty_.notify_all();
  }

  size_t size() const {
    const std::lock_guard<std::mutex> lock(mu_);
    return items_.size();
  }

 private:
  std::vector<T> TakeAllLocked() {
    std::vector<T> all(std::make_move_iterator(items_.begin()),
                       std::make_move_iterator(items_.end()));
    items_.clear();
    return all;
  }

  const size_t capacity_;
  mutable std::mutex mu_;
  std::condition_variable not_empty_;
  std::deque<T> items_;  // guarded by mu_
  bool closed_ = false;  // guarded by mu_
};

}  // namespace skein
