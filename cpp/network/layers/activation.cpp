// y = f(x), elementwise or, for softmax, row by row.
#include "network/layers/layer.h"

#include <stdexcept>

namespace fallline {

int activation_index(const std::string& name) {
  const auto& table = kernels<float>();
  for (int i = 0; i < table.activation_count; ++i)
    if (name == table.activations[i].name) return i;
  throw std::invalid_argument("activation: name is '" + name + "'; expected an elementwise activation");
}

namespace {

template <class T>
class Activation final : public Layer<T> {
 public:
  Activation(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, inputs),
        softmax_(spec.text("activation") == "softmax"),
        activation_(softmax_ ? 0 : activation_index(spec.text("activation"))) {}

  void forward(const Pass& pass, Panels<const T> x, Panels<T> y) const override {
    if (softmax_) return this->kernels().softmax(x, y, this->inputs(), pass.begin, pass.end);
    this->kernels().activations[activation_].value(x, y, this->inputs(), pass.begin, pass.end);
  }

 protected:
  void backward_rows(const Pass& pass, Panels<const T> y, Panels<const T> delta, Panels<T> dx) const override {
    this->kernels().activations[0].value(delta, dx, this->inputs(), pass.begin, pass.end);
    if (softmax_) return this->kernels().softmax_gradient(y, dx, this->inputs(), pass.begin, pass.end);
    this->kernels().activations[activation_].gradient(y, dx, this->inputs(), pass.begin, pass.end);
  }

 private:
  bool softmax_;
  int activation_;
};

const RegisterLayer<Activation> activation("activation");

}  // namespace
}  // namespace fallline
