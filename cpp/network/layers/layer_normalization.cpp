// y = (x - mean) / sqrt(variance + epsilon) gamma + beta over the columns of each row: gamma, beta (inputs,).
#include <algorithm>

#include "network/layers/affine.h"

namespace fallline {
namespace {

template <class T>
class LayerNormalization final : public Affine<T> {
 public:
  LayerNormalization(const Spec& spec, int index, int inputs)
      : Affine<T>(spec, index, inputs), epsilon_(spec.number("epsilon")) {}

  std::ptrdiff_t scratch_size(int rows) const override { return 2 * static_cast<std::ptrdiff_t>(rows); }  // moments

  void forward(const Pass& pass, const Place<T>& at) const override {
    this->kernels().layer_norm(at.x, this->gamma(), this->beta(), epsilon_, at.y, this->inputs(), at.scratch,
                               pass.begin, pass.end);
  }

  void add_row_squares(const Pass& pass, const Place<T>& at, double* squares) const override {
    if (this->scaled())
      this->kernels().add_layer_norm_squares(at.x, at.scratch, at.delta, this->inputs(), squares, pass.begin, pass.end);
    if (this->centered()) this->kernels().add_offset_squares(at.delta, this->inputs(), squares, pass.begin, pass.end);
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    this->kernels().layer_norm_gradient(at.x, at.scratch, this->gamma(), at.delta, at.dx, this->inputs(), pass.begin,
                                        pass.end);
  }

  void gamma_gradient(int column, const Place<T>& at, int begin, int end, T* g) const override {
    this->kernels().layer_norm_scale_gradient(this->panel(at.x, column, begin), at.scratch + 2 * begin,
                                              this->panel(at.delta, column, begin), end - begin, g);
  }

 private:
  double epsilon_;
};

const RegisterLayer<LayerNormalization> layer_normalization("layer_normalization");

}  // namespace
}  // namespace fallline
