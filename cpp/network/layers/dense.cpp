// y = activation(x kernel + bias): kernel (inputs, units), bias (units,).
#include <algorithm>

#include "network/layers/layer.h"

namespace fallline {
namespace {

template <class T>
class Dense final : public Layer<T> {
 public:
  Dense(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, static_cast<int>(spec.number("units"))),
        spec_(spec),
        activation_(activation_index(spec.text("activation"))),
        use_bias_(spec.number("use_bias", 1) != 0) {}

  int fused_activation() const override { return activation_; }

  std::vector<Parameter> parameters() const override {
    std::vector<Parameter> all{{this->index(), "kernel", this->inputs(), this->outputs(), false,
                                spec_.number("kernel_l1", 0), spec_.number("kernel_l2", 0)}};
    if (use_bias_)
      all.push_back(
          {this->index(), "bias", 1, this->outputs(), true, spec_.number("bias_l1", 0), spec_.number("bias_l2", 0)});
    return all;
  }

  void bind(const std::vector<Parameter>& parameters, T* weights, bool backward) override {
    kernel_ = weights + parameters[0].offset;
    bias_ = use_bias_ ? weights + parameters[1].offset : nullptr;
    if (!backward) return;
    transposed_stride_ = static_cast<std::ptrdiff_t>(this->outputs()) * width();
    transposed_ = Buffer<T>((this->inputs() + width() - 1) / width() * transposed_stride_);
  }

  void forward(const Pass& pass, Panels<const T> x, Panels<T> y) const override {
    this->kernels().activations[activation_].forward({x, this->inputs(), kernel_, bias_, y, this->outputs(), {}},
                                                     pass.begin, pass.end);
  }

  void backward(const Pass& pass, Panels<const T>, Panels<const T> delta, Panels<T> dx,
                ActivationGate<T> below) const override {
    this->kernels().activations[below.activation].backward(
        {delta, this->outputs(), transposed_.data(), nullptr, dx, this->inputs(), below.y}, pass.begin, pass.end);
  }

  void gradient(const Strip& strip, Panels<const T> x, Panels<const T> delta, int rows, T* g,
                bool accumulate) const override {
    const T* panel = delta.data + strip.column / width() * delta.stride;
    const int columns = std::min(width(), this->outputs() - strip.column);
    if (strip.role == bias_role) return this->kernels().column_sums(panel, columns, rows, g, accumulate);
    this->kernels().weight_gradient({x, strip.begin, strip.end, panel, columns, rows, g, accumulate});
  }

  // Backward multiplies by the transposed kernel, kept packed as well; the lowest layer has none.
  void refresh(const Strip& strip) override {
    if (transposed_.size() == 0 || strip.role == bias_role) return;
    const T* panel = kernel_ + static_cast<std::ptrdiff_t>(strip.column) * this->inputs();
    this->kernels().transpose(panel + static_cast<std::ptrdiff_t>(strip.begin) * width(), strip.begin, strip.end,
                              std::min(width(), this->outputs() - strip.column),
                              transposed_.data() + static_cast<std::ptrdiff_t>(strip.column) * width(),
                              transposed_stride_);
  }

 private:
  static constexpr int bias_role = 1;
  int width() const { return this->kernels().panel_width; }

  Spec spec_;
  int activation_;
  bool use_bias_;
  T* kernel_ = nullptr;
  T* bias_ = nullptr;
  Buffer<T> transposed_;  // [inputs/W][units][W]
  std::ptrdiff_t transposed_stride_ = 0;
};

const RegisterLayer<Dense> dense("dense");

}  // namespace
}  // namespace fallline
