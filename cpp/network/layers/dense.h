// y = activation(x kernel + bias): kernel (inputs, units), bias (units,).
#pragma once

#include <algorithm>

#include "network/layers/layer.h"

namespace fallline {

template <class T>
class Dense : public Layer<T> {
 public:
  Dense(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, static_cast<int>(spec.number("units"))),
        spec_(spec),
        activation_(activation_of<T>(spec)),
        use_bias_(spec.number("use_bias", 1) != 0) {}

  Elementwise<T> fused_activation() const override { return activation_; }

  bool takes_nonzeros() const override { return true; }

  std::vector<Parameter> parameters() const override {
    std::vector<Parameter> all{{this->index(), "kernel", this->inputs(), this->outputs(), false, spec_}};
    if (use_bias_) all.push_back({this->index(), "bias", 1, this->outputs(), true, spec_});
    return all;
  }

  void bind(const std::vector<Parameter>& parameters, T* weights, bool backward) override {
    kernel_ = weights + parameters[0].offset;
    bias_ = use_bias_ ? weights + parameters[1].offset : nullptr;
    if (backward) transposed_ = Buffer<T>(transposed_size());
  }

  void forward(const Pass& pass, const Place<T>& at) const override { multiply(pass, at, kernel_); }

  void backward(const Pass& pass, const Place<T>& at, Elementwise<T> below) const override {
    multiply_back(pass, at, transposed_.data(), below);
  }

  void gradient(const Strip& strip, const Place<T>& at, int begin, int end, T* g) const override {
    const T* delta = this->panel(at.delta, strip.column, begin);
    const int columns = std::min(this->width(), this->outputs() - strip.column), rows = end - begin;
    if (strip.role == bias_role) return this->kernels().column_sums(delta, columns, rows, g);
    const Panels<const T> x{this->panel(at.x, 0, begin), at.x.stride};
    const WeightGradient<T> product{x, strip.begin, strip.end, delta, columns, rows, g};
    if (at.nonzeros) return this->kernels().sparse_gradient(at.nonzeros->columns(begin), product);
    this->kernels().weight_gradient(product);
  }

  void add_row_squares(const Pass& pass, const Place<T>& at, double* squares) const override {
    this->kernels().add_dense_squares(at.x, this->inputs(), at.delta, this->outputs(), use_bias_, squares, pass.begin,
                                      pass.end);
  }

  // Backward multiplies by the transposed kernel, kept packed as well; the lowest layer has none.
  void refresh(const Strip& strip) override {
    if (transposed_.size() > 0 && strip.role != bias_role) transpose(strip, kernel_, transposed_.data());
  }

 protected:
  static constexpr int bias_role = 1;

  const T* kernel() const { return kernel_; }
  std::ptrdiff_t kernel_size() const { return static_cast<std::ptrdiff_t>(this->inputs()) * padded(this->outputs()); }
  std::ptrdiff_t transposed_size() const {
    return static_cast<std::ptrdiff_t>(this->outputs()) * padded(this->inputs());
  }

  void multiply(const Pass& pass, const Place<T>& at, const T* kernel) const {
    const RowsProduct<T> product{at.x, this->inputs(), kernel, bias_, at.y, this->outputs(), {}, activation_.parameter};
    const auto& activation = this->kernels().activations[activation_.index];
    if (!at.nonzeros) return activation.forward(product, pass.begin, pass.end);
    this->kernels().sparse_rows(at.nonzeros->rows(), product, pass.begin, pass.end);
    if (activation_.index != 0)
      activation.value(at.y, at.y, this->outputs(), activation_.parameter, pass.begin, pass.end);
  }
  void multiply_back(const Pass& pass, const Place<T>& at, const T* transposed, Elementwise<T> below) const {
    this->kernels().activations[below.index].backward(
        {at.delta, this->outputs(), transposed, nullptr, at.dx, this->inputs(), at.x, below.parameter}, pass.begin,
        pass.end);
  }
  // A strip of kernel [units/W][inputs][W] to its place in transposed [inputs/W][units][W].
  void transpose(const Strip& strip, const T* kernel, T* transposed) const {
    const int width = this->width();
    const T* panel = kernel + static_cast<std::ptrdiff_t>(strip.column) * this->inputs();
    this->kernels().transpose(panel + static_cast<std::ptrdiff_t>(strip.begin) * width, strip.begin, strip.end,
                              std::min(width, this->outputs() - strip.column),
                              transposed + static_cast<std::ptrdiff_t>(strip.column) * width,
                              static_cast<std::ptrdiff_t>(this->outputs()) * width);
  }

 private:
  int padded(int n) const { return (n + this->width() - 1) / this->width() * this->width(); }

  Spec spec_;
  Elementwise<T> activation_;
  bool use_bias_;
  T* kernel_ = nullptr;
  T* bias_ = nullptr;
  Buffer<T> transposed_;  // [inputs/W][units][W]
};

}  // namespace fallline
