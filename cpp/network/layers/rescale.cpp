// y = x * scale + offset, with one scale and offset for all columns or one for each. The first layer does it while it
// reads: in double where an offset takes most of a number away, as of a timestamp, whose digits a float does not hold.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "network/layers/layer.h"

namespace fallline {
namespace {

template <class T>
class Rescale final : public Layer<T> {
 public:
  Rescale(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, inputs),
        scale_(padded(spec, "scale", inputs)),
        offset_(padded(spec, "offset", inputs)),
        exact_scale_(each(spec, "scale", inputs)),
        exact_offset_(each(spec, "offset", inputs)),
        exact_(std::is_same_v<T, float> && (beyond(exact_offset_, 0, 16) || beyond(exact_scale_, 1e-30, 1e30))) {}

  void read(const Source& rows, const std::int64_t* index, Panels<T> x, int begin, int end) const override {
    if (!exact_) {
      Layer<T>::read(rows, index, x, begin, end);
      return this->kernels().affine(x, scale_.data(), offset_.data(), x, this->inputs(), begin, end);
    }
    switch (rows.type) {  // each of them, so that equal numbers give equal bits
      case SourceType::float32:
        return read_exactly<float>(rows, index, x, begin, end);
      case SourceType::float64:
        return read_exactly<double>(rows, index, x, begin, end);
      case SourceType::uint8:
        return read_exactly<std::uint8_t>(rows, index, x, begin, end);
      case SourceType::int32:
        return read_exactly<std::int32_t>(rows, index, x, begin, end);
      case SourceType::int64:
        return read_exactly<std::int64_t>(rows, index, x, begin, end);
    }
  }

  void forward(const Pass& pass, const Place<T>& at) const override {
    if (this->reads_rows) return this->copy(pass, at.x, at.y);
    this->kernels().affine(at.x, scale_.data(), offset_.data(), at.y, this->inputs(), pass.begin, pass.end);
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    this->kernels().affine(at.delta, scale_.data(), zeros_.data(), at.dx, this->inputs(), pass.begin, pass.end);
  }

 private:
  template <class From>
  void read_exactly(const Source& rows, const std::int64_t* index, Panels<T> x, int begin, int end) const {
    const int width = this->width();
    for (int r = begin; r < end; ++r) {
      const char* in = static_cast<const char*>(rows.data) + (index ? index[r] : r) * rows.row_stride;
      T* out = x.data + static_cast<std::ptrdiff_t>(r) * width;
      for (int c = 0; c < this->inputs(); c += width, in += width * rows.column_stride, out += x.stride) {
        const int n = std::min(width, this->inputs() - c);
        const double *scale = exact_scale_.data() + c, *offset = exact_offset_.data() + c;
        for (int i = 0; i < n; ++i) {
          From value;
          std::memcpy(&value, in + i * rows.column_stride, sizeof value);
          out[i] = static_cast<T>(static_cast<double>(value) * scale[i] + offset[i]);
        }
        std::fill(out + n, out + width, T(0));
      }
    }
  }

  // Whether one of the numbers that are not 0 is smaller, or larger.
  static bool beyond(const std::vector<double>& numbers, double low, double high) {
    return std::any_of(numbers.begin(), numbers.end(), [&](double number) {
      return number != 0 && (std::abs(number) < low || std::abs(number) > high);
    });
  }

  static std::vector<double> each(const Spec& spec, const char* name, int inputs) {
    std::vector<double> values = spec.numbers(name);
    const auto n = static_cast<int>(values.size());
    if (n != 1 && n != inputs)
      throw std::invalid_argument("Rescale: " + std::string(name) + " has " + std::to_string(n) +
                                  " values; expected 1 or " + std::to_string(inputs) + ", one for each input");
    values.resize(static_cast<std::size_t>(inputs), values[0]);
    return values;
  }

  // To whole panels, as the kernel reads them.
  static Buffer<T> padded(const Spec& spec, const char* name, int inputs) {
    const std::vector<double> values = each(spec, name, inputs);
    const int width = kernels<T>().panel_width;
    Buffer<T> buffer((inputs + width - 1) / width * width);
    for (int i = 0; i < inputs; ++i) buffer[i] = static_cast<T>(values[static_cast<std::size_t>(i)]);
    return buffer;
  }

  Buffer<T> scale_, offset_;
  std::vector<double> exact_scale_, exact_offset_;
  bool exact_;
  Buffer<T> zeros_{scale_.size()};
};

const RegisterLayer<Rescale> rescale("rescale");

}  // namespace
}  // namespace fallline
