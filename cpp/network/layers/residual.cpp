// y = x + f(x): a fork keeps x for the join at the end of f, and collects the gradients of both ways.
#include "network/layers/layer.h"

namespace fallline {
namespace {

template <class T>
class Fork final : public Layer<T> {
 public:
  Fork(const Spec&, int index, int inputs) : Layer<T>(index, inputs, inputs) {}

  void forward(const Pass& pass, const Place<T>& at) const override { this->copy(pass, at.x, at.y); }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    this->kernels().add(at.delta, at.partner_delta, at.dx, this->inputs(), pass.begin, pass.end);
  }
};

template <class T>
class Join final : public Layer<T> {
 public:
  Join(const Spec&, int index, int inputs) : Layer<T>(index, inputs, inputs) {}

  void forward(const Pass& pass, const Place<T>& at) const override {
    this->kernels().add(at.x, at.partner_y, at.y, this->inputs(), pass.begin, pass.end);
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override { this->copy(pass, at.delta, at.dx); }
};

const RegisterLayer<Fork> fork("fork");
const RegisterLayer<Join> join("join");

}  // namespace
}  // namespace fallline
