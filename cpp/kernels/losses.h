// Losses: value and gradient together. A row's loss is the mean over its outputs (mse) or the sum over its classes
// (cross-entropies of classes); `scale` carries 1 / (sum of weights) or 1.
#pragma once

#include "rows.h"

namespace fallline {
namespace {

// An elementwise loss maps (output, target) to its value and its gradient with respect to the output. If it takes
// over the last activation, the output is the logit and becomes the prediction.

// (y - t)^2
struct MeanSquaredError {
  static constexpr const char* name = "mse";
  static constexpr const char* fused_activation = nullptr;
  template <class T>
  static FALLLINE_INLINE void evaluate(Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> e = y - t;
    value = e * e;
    gradient = e + e;
  }
};

// -t ln(p) - (1 - t) ln(1 - p) with p = sigmoid(z), as max(z, 0) - z t + ln(1 + e^-|z|)
struct BinaryCrossEntropy {
  static constexpr const char* name = "binary_cross_entropy";
  static constexpr const char* fused_activation = "sigmoid";
  template <class T>
  static FALLLINE_INLINE void evaluate(Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> z = y;
    const Vec<T> positive = z < T(0) ? Vec<T>{} : z;
    value = fma(-z, t, positive) + log1p<T>(exp<T>(-abs<T>(z)));
    y = sigmoid<T>(z);
    gradient = y - t;
  }
};

using ElementwiseLosses = TypeList<MeanSquaredError, BinaryCrossEntropy>;

// In double, since 1 / (sum of weights) may leave the range of T.
template <class T>
FALLLINE_INLINE T row_factor(const LossRows<T>& a, int r) {
  return static_cast<T>((a.weight ? static_cast<double>(a.weight[r]) : 1.0) * a.scale);
}

template <class T, class Loss>
void elementwise_loss(const LossRows<T>& a, int begin, int end) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  const T mean = T(1) / static_cast<T>(a.outputs);
  for (int r = begin; r < end; ++r) {
    const T weight = a.weight ? a.weight[r] : T(1);
    const Vec<T> factor = broadcast(row_factor(a, r) * mean);
    Vec<T> sum{};
    for (int c = 0, p = 0; c < a.outputs; c += W, ++p)
      for (int v = 0; v < W; v += V) {
        const int n = std::min(V, a.outputs - c - v);
        if (n <= 0) break;
        const std::ptrdiff_t i = at<T>(r) + v;
        Vec<T> y = load(a.y.data + p * a.y.stride + i);
        const Vec<T> t = load(a.target.data + p * a.target.stride + i);
        Vec<T> value, gradient;
        Loss::template evaluate<T>(y, t, value, gradient);
        sum = sum + first_lanes<T>(value, n);  // columns beyond the last count for nothing
        store(a.y.data + p * a.y.stride + i, y);
        if (a.dy.data) store(a.dy.data + p * a.dy.stride + i, first_lanes<T>(gradient * factor, n));
      }
    a.loss[r] = static_cast<double>(weight) * static_cast<double>(reduce_sum<T>(sum) * mean);
  }
}

// -sum t ln(softmax(z)) for classes given as labels, one-hot rows or probabilities; y becomes softmax(z).
struct CrossEntropy {
  static constexpr const char* name = "cross_entropy";
  static constexpr const char* fused_activation = "softmax";
};

// dz = (mass softmax(z) - t) scale weight, for one row whose softmax is in y.
template <class T>
FALLLINE_INLINE void cross_entropy_gradient(const LossRows<T>& a, int r, T mass) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  const T factor = row_factor(a, r);
  for (int c = 0, p = 0; c < a.outputs; c += W, ++p)
    for (int v = 0; v < W; v += V) {
      const std::ptrdiff_t i = at<T>(r) + v;
      Vec<T> d = load(a.y.data + p * a.y.stride + i) * mass;
      if (!a.labels) d = d - load(a.target.data + p * a.target.stride + i);
      store(a.dy.data + p * a.dy.stride + i, d * factor);
    }
  if (a.labels) *element(a.dy, r, a.labels[r]) = (*element(a.y, r, a.labels[r]) - T(1)) * factor;
}

template <class T>
void cross_entropy(const LossRows<T>& a, int begin, int end) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  const Panels<const T> z = a.y;
  // ln(sum e^z), what a row's targets add up to and their product with z: a register of rows shares one logarithm.
  T sum[V], mass[V], dot[V];
  for (int first = begin; first < end; first += V) {
    const int rows = std::min(V, end - first);
    for (int i = 0; i < rows; ++i) {
      const int r = first + i;
      const T most = row_max<T>(z, a.outputs, r);
      if (a.labels) {
        mass[i] = 1;
        dot[i] = *element(z, r, a.labels[r]) - most;
      } else {
        Vec<T> masses{}, dots{};
        for (int c = 0; c < a.outputs; c += W) {
          const Columns<T> x(z, c, a.outputs, r, most), t(a.target, c, a.outputs, r, T(0));
          masses = masses + (t.low + t.high);
          dots = fma(t.low, x.low - most, fma(t.high, x.high - most, dots));
        }
        mass[i] = reduce_sum<T>(masses);
        dot[i] = reduce_sum<T>(dots);
      }
      sum[i] = row_exp<T>(z, a.y, a.outputs, r, most);
      row_scale<T>(a.y, a.outputs, r, T(1) / sum[i]);
      if (a.dy.data) cross_entropy_gradient<T>(a, r, mass[i]);
    }
    for (int i = rows; i < V; ++i) sum[i] = 1, mass[i] = dot[i] = 0;
    const Vec<T> loss = fma(log<T>(load(sum)), load(mass), -load(dot));
    for (int i = 0; i < rows; ++i)
      a.loss[first + i] = (a.weight ? static_cast<double>(a.weight[first + i]) : 1.0) * static_cast<double>(loss[i]);
  }
}

}  // namespace
}  // namespace fallline
