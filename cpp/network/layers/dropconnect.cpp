// Dense whose weights, not its inputs, are dropped: in training each batch multiplies the kernel by a mask of zeros and
// 1 / (1 - rate), a function of (seed, step, layer, element) (Wan et al. 2013).
#include "network/layers/dense.h"

namespace fallline {
namespace {

template <class T>
class DropConnect final : public Dense<T> {
 public:
  DropConnect(const Spec& spec, int index, int inputs)
      : Dense<T>(spec, index, inputs),
        rate_(spec.number("rate")),
        stream_(static_cast<std::uint32_t>(spec.number("stream", index + 1))),
        ones_(stride()) {
    std::fill_n(ones_.data(), ones_.size(), T(1));
  }

  bool prepares() const override { return true; }
  const char* no_row_squares() const override { return this->frozen ? nullptr : "multiplies its kernel by a mask"; }
  // The mask, the masked kernel and its transpose.
  std::ptrdiff_t scratch_size(int) const override { return 2 * this->kernel_size() + this->transposed_size(); }

  // The mask is drawn row by row, so the strips of the first panel do it for their rows of all panels.
  void prepare(const Strip& strip, const Pass& pass, T* scratch) const override {
    if (strip.role == this->bias_role || strip.column > 0) return;
    T *mask = scratch, *masked = scratch + this->kernel_size(), *transposed = masked + this->kernel_size();
    this->kernels().dropout({ones_.data(), 0}, {mask, stride()}, this->outputs(), rate_,
                            {pass.seed, stream_, pass.step}, 0, strip.begin, strip.end);
    for (Strip panel = strip; panel.column < this->outputs(); panel.column += this->width()) {
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(panel.column) * this->inputs() +
                                   static_cast<std::ptrdiff_t>(panel.begin) * this->width();
      for (std::ptrdiff_t i = first; i < first + panel.size; ++i) masked[i] = this->kernel()[i] * mask[i];
      this->transpose(panel, masked, transposed);
    }
  }

  void forward(const Pass& pass, const Place<T>& at) const override {
    this->multiply(pass, at, pass.training ? at.scratch + this->kernel_size() : this->kernel());
  }

  void backward(const Pass& pass, const Place<T>& at, Elementwise<T> below) const override {
    this->multiply_back(pass, at, at.scratch + 2 * this->kernel_size(), below);
  }

  void gradient(const Strip& strip, const Place<T>& at, int begin, int end, T* g) const override {
    Dense<T>::gradient(strip, at, begin, end, g);
    if (strip.role == this->bias_role) return;
    const T* mask = at.scratch + static_cast<std::ptrdiff_t>(strip.column) * this->inputs() +
                    static_cast<std::ptrdiff_t>(strip.begin) * this->width();
    for (std::ptrdiff_t i = 0; i < strip.size; ++i) g[i] *= mask[i];
  }

 private:
  std::ptrdiff_t stride() const { return static_cast<std::ptrdiff_t>(this->inputs()) * this->width(); }

  double rate_;
  std::uint32_t stream_;
  Buffer<T> ones_;
};

const RegisterLayer<DropConnect> dropconnect("dropconnect");

}  // namespace
}  // namespace fallline
