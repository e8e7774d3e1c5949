// Device memory for tests.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace skein {

class DeviceArray {
 public:
  // Filled with 0xff bytes: NaN in every floating type.
  explicit DeviceArray(size_t bytes);
  template <typename T>
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size() * sizeof(T)) {
    Upload(values.data());
  }

  void* data() const { return data_.get(); }
  size_t bytes() const { return bytes_; }
  void Upload(const void* from);
  void Poison();
  // Waits for the device. Aborts if it reports an error.
  std::vector<unsigned char> Download() const;

 private:
  size_t bytes_;
  std::shared_ptr<void> data_;
};

}  // namespace skein
