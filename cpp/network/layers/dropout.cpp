// Sets a share `rate` of the elements to zero in training and scales the others by 1 / (1 - rate). The mask is a
// function of (seed, step, layer, element); backward makes it anew instead of keeping it.
#include "network/layers/layer.h"

namespace fallline {
namespace {

template <class T>
class Dropout final : public Layer<T> {
 public:
  Dropout(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, inputs),
        rate_(spec.number("rate")),
        stream_(static_cast<std::uint32_t>(spec.number("stream", index + 1))) {}

  bool only_in_training() const override { return true; }

  void forward(const Pass& pass, const Place<T>& at) const override { apply(pass, at.x, at.y); }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override { apply(pass, at.delta, at.dx); }

 private:
  void apply(const Pass& pass, Panels<const T> x, Panels<T> y) const {
    const RandomKey key{pass.seed, stream_, pass.step};
    this->kernels().dropout(x, y, this->inputs(), rate_, key, pass.first_row, pass.begin, pass.end);
  }

  double rate_;
  std::uint32_t stream_;  // of random numbers
};

const RegisterLayer<Dropout> dropout("dropout");

}  // namespace
}  // namespace fallline
