// What normalising layers share: the learned scale gamma and offset beta of each column, where they are wanted.
#pragma once

#include <algorithm>

#include "network/layers/layer.h"

namespace fallline {

template <class T>
class Affine : public Layer<T> {
 public:
  Affine(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, inputs),
        spec_(spec),
        scale_(spec.number("scale", 1) != 0),
        center_(spec.number("center", 1) != 0),
        gamma_(padded()),
        beta_(padded()) {
    std::fill_n(gamma_.data(), inputs, T(1));
  }

  std::vector<Parameter> parameters() const override {
    std::vector<Parameter> all;
    if (scale_) all.push_back({this->index(), "gamma", 1, this->inputs(), true, spec_});
    if (center_) all.push_back({this->index(), "beta", 1, this->inputs(), true, spec_});
    return all;
  }

  void bind(const std::vector<Parameter>& parameters, T* weights, bool) override {
    weights_[0] = weights + parameters[0].offset;
    if (parameters.size() > 1) weights_[1] = weights + parameters[1].offset;
  }

  void refresh(const Strip& strip) override {
    if (strip.role >= scale_ + center_) return;
    Buffer<T>& own = is_gamma(strip) ? gamma_ : beta_;
    std::copy_n(weights_[strip.role] + strip.column, this->width(), own.data() + strip.column);
  }

  void gradient(const Strip& strip, const Place<T>& at, int begin, int end, T* g) const override {
    const int columns = std::min(this->width(), this->inputs() - strip.column);
    if (is_gamma(strip)) {
      gamma_gradient(strip.column, at, begin, end, g);
      for (int c = columns; c < this->width(); ++c) g[c] = T(0);  // columns beyond the last may hold anything in x
    } else {
      this->kernels().column_sums(this->panel(at.delta, strip.column, begin), columns, end - begin, g);
    }
  }

 protected:
  const T* gamma() const { return gamma_.data(); }
  const T* beta() const { return beta_.data(); }
  std::ptrdiff_t padded() const { return (this->inputs() + this->width() - 1) / this->width() * this->width(); }
  bool scaled() const { return scale_; }
  bool centered() const { return center_; }

  // Of the panel of this column.
  virtual void gamma_gradient(int column, const Place<T>& at, int begin, int end, T* g) const = 0;

 private:
  bool is_gamma(const Strip& strip) const { return scale_ && strip.role == 0; }

  Spec spec_;
  bool scale_, center_;
  Buffer<T> gamma_, beta_;  // padded to panels
  T* weights_[2] = {};
};

}  // namespace fallline
