// y = x, or slope x below 0: slope (inputs,), or (1,) shared by all.
#include <algorithm>

#include "network/layers/layer.h"

namespace fallline {
namespace {

template <class T>
class Prelu final : public Layer<T> {
 public:
  Prelu(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, inputs),
        spec_(spec),
        shared_(spec.number("shared", 0) != 0),
        slope_((inputs + this->width() - 1) / this->width() * this->width()) {}

  std::vector<Parameter> parameters() const override {
    return {{this->index(), "slope", 1, shared_ ? 1 : this->inputs(), true, spec_}};
  }
  void bind(const std::vector<Parameter>& parameters, T* weights, bool) override {
    weights_ = weights + parameters[0].offset;
  }
  void refresh(const Strip& strip) override {
    if (shared_)
      std::fill_n(slope_.data(), this->inputs(), weights_[0]);
    else
      std::copy_n(weights_ + strip.column, this->width(), slope_.data() + strip.column);
  }

  void forward(const Pass& pass, const Place<T>& at) const override {
    this->kernels().prelu(at.x, slope_.data(), at.y, this->inputs(), pass.begin, pass.end);
  }

  void gradient(const Strip& strip, const Place<T>& at, int begin, int end, T* g) const override {
    const int width = this->width();
    const auto sum_panel = [&](int column, T* sums) {
      this->kernels().prelu_slope_gradient(this->panel(at.x, column, begin), this->panel(at.delta, column, begin),
                                           end - begin, sums);
    };
    if (!shared_) {
      sum_panel(strip.column, g);
      return clear_from(g, this->inputs() - strip.column);
    }
    T total = 0;
    T sums[max_panel_width];
    for (int column = 0; column < this->inputs(); column += width) {
      sum_panel(column, sums);
      for (int c = 0; c < std::min(width, this->inputs() - column); ++c) total += sums[c];
    }
    g[0] = total;
    clear_from(g, 1);
  }

  void add_row_squares(const Pass& pass, const Place<T>& at, double* squares) const override {
    this->kernels().add_prelu_squares(at.x, at.delta, this->inputs(), shared_, squares, pass.begin, pass.end);
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    this->kernels().prelu_gradient(at.x, slope_.data(), at.delta, at.dx, this->inputs(), pass.begin, pass.end);
  }

 private:
  // Columns beyond the last may hold anything in x; their weights stay 0.
  void clear_from(T* g, int column) const {
    for (int c = column; c < this->width(); ++c) g[c] = T(0);
  }

  Spec spec_;
  bool shared_;
  Buffer<T> slope_;  // for each column, padded to panels
  T* weights_ = nullptr;
};

const RegisterLayer<Prelu> prelu("prelu");

}  // namespace
}  // namespace fallline
