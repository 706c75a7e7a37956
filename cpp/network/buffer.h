// Zeroed memory aligned to cache lines.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

namespace fallline {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::ptrdiff_t size)
      : size_(size), data_(static_cast<T*>(::operator new(bytes(), std::align_val_t{alignment}))) {
    std::memset(data_.get(), 0, bytes());
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::ptrdiff_t size() const { return size_; }
  T& operator[](std::ptrdiff_t i) { return data_.get()[i]; }

 private:
  static constexpr std::size_t alignment = 64;
  struct Free {
    void operator()(T* p) const { ::operator delete(p, std::align_val_t{alignment}); }
  };
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

  std::ptrdiff_t size_ = 0;
  std::unique_ptr<T, Free> data_;
};

}  // namespace fallline
