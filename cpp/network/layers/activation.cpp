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
        activation_(softmax_ ? Elementwise<T>{} : activation_of<T>(spec)) {}

  void forward(const Pass& pass, const Place<T>& at) const override {
    if (softmax_) return this->kernels().softmax(at.x, at.y, this->inputs(), pass.begin, pass.end);
    kernel().value(at.x, at.y, this->inputs(), activation_.parameter, pass.begin, pass.end);
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    this->copy(pass, at.delta, at.dx);
    if (softmax_) return this->kernels().softmax_gradient(at.y, at.dx, this->inputs(), pass.begin, pass.end);
    kernel().gradient(kernel().from_input ? at.x : at.y, at.dx, this->inputs(), activation_.parameter, pass.begin,
                      pass.end);
  }

 private:
  const ActivationKernels<T>& kernel() const { return this->kernels().activations[activation_.index]; }

  bool softmax_;
  Elementwise<T> activation_;
};

const RegisterLayer<Activation> activation("activation");

}  // namespace
}  // namespace fallline
