// y = x * scale + offset, with one scale and offset for all columns or one for each.
#include <algorithm>
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
        offset_(padded(spec, "offset", inputs)) {}

  void forward(const Pass& pass, const Place<T>& at) const override {
    this->kernels().affine(at.x, scale_.data(), offset_.data(), at.y, this->inputs(), pass.begin, pass.end);
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    this->kernels().affine(at.delta, scale_.data(), zeros_.data(), at.dx, this->inputs(), pass.begin, pass.end);
  }

 private:
  // To whole panels, as the kernel reads them.
  static Buffer<T> padded(const Spec& spec, const char* name, int inputs) {
    const std::vector<double> values = spec.numbers(name);
    const auto n = static_cast<int>(values.size());
    if (n != 1 && n != inputs)
      throw std::invalid_argument("Rescale: " + std::string(name) + " has " + std::to_string(n) +
                                  " values; expected 1 or " + std::to_string(inputs) + ", one for each input");
    const int width = kernels<T>().panel_width;
    Buffer<T> buffer((inputs + width - 1) / width * width);
    for (int i = 0; i < inputs; ++i) buffer[i] = static_cast<T>(values[static_cast<std::size_t>(n == 1 ? 0 : i)]);
    return buffer;
  }

  Buffer<T> scale_, offset_;
  Buffer<T> zeros_{scale_.size()};
};

const RegisterLayer<Rescale> rescale("rescale");

}  // namespace
}  // namespace fallline
