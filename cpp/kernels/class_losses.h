// Losses of classes, given as labels, one-hot rows or probabilities t: the cross-entropy -sum t ln(softmax(z)) of a
// row, or what is made of it. The output z becomes the prediction softmax(z).
#pragma once

#include "losses.h"

namespace fallline {
namespace {

// `evaluate` makes a row's loss of its cross-entropy, a register of rows at a time, and gives the slope.

// With t (1 - s) + s / classes in place of t, s = label_smoothing   (Szegedy et al. 2016)
struct CrossEntropy {
  static constexpr const char* name = "cross_entropy";
  static constexpr const char* fused_activation = "softmax";
  static constexpr const char* const hyper[] = {"label_smoothing", nullptr};
  static constexpr bool smooths = true, relative = false;
  template <class T>
  static FALLLINE_INLINE void evaluate(const double*, Vec<T>&, Vec<T>& slope) {
    slope = broadcast(T(1));
  }
};

// sum t (ln t - ln(softmax(z))), where 0 ln 0 = 0   (Kullback, Leibler 1951)
struct KLDivergence {
  static constexpr const char* name = "kl_divergence";
  static constexpr const char* fused_activation = "softmax";
  static constexpr const char* const hyper[] = {nullptr};
  static constexpr bool smooths = false, relative = true;
  template <class T>
  static FALLLINE_INLINE void evaluate(const double*, Vec<T>&, Vec<T>& slope) {
    slope = broadcast(T(1));
  }
};

// alpha b (1 - e^-b)^gamma with the cross-entropy b   (Lin et al. 2017)
struct FocalCrossEntropy {
  static constexpr const char* name = "focal_cross_entropy";
  static constexpr const char* fused_activation = "softmax";
  static constexpr const char* const hyper[] = {"gamma", "alpha", nullptr};
  static constexpr bool smooths = false, relative = false;
  template <class T>
  static FALLLINE_INLINE void evaluate(const double* h, Vec<T>& loss, Vec<T>& slope) {
    const Vec<T> alpha = broadcast(static_cast<T>(h[1]));
    focus<T>(broadcast(static_cast<T>(h[0])), loss, slope);
    loss = alpha * loss;
    slope = alpha * slope;
  }
};

using ClassLosses = TypeList<CrossEntropy, KLDivergence, FocalCrossEntropy>;

// ln(t), 0 for t = 0
template <class T>
FALLLINE_INLINE Vec<T> log_or_zero(Vec<T> t) {
  return t > T(0) ? log<T>(t) : Vec<T>{};
}

// t keep + rest: targets as they are learned.
template <class T>
struct Smoothing {
  T keep = 1, rest = 0;
};

// y = e^z scale, the softmax, for one row whose e^z is in y, and dz = (mass y - t) factor.
template <class T, bool smoothed>
FALLLINE_INLINE void class_gradient(const LossRows<T>& a, int r, T scale, T mass, Smoothing<T> s, T factor) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  const Panels<T> y = a.y, dy = a.dy;
  const Panels<const T> target = a.target;
  const int outputs = a.outputs, label = a.labels ? a.labels[r] : -1;
  for (int c = 0, p = 0; c < outputs; c += W, ++p)
    for (int v = 0; v < W; v += V) {
      const std::ptrdiff_t i = at<T>(r) + v;
      const Vec<T> share = load(y.data + p * y.stride + i) * scale;
      Vec<T> d = share * mass, t{};
      if (label < 0) t = load(target.data + p * target.stride + i);
      if constexpr (smoothed) t = first_lanes<T>(fma(t, broadcast(s.keep), broadcast(s.rest)), outputs - c - v);
      if (smoothed || label < 0) d = d - t;
      store(y.data + p * y.stride + i, share);
      store(dy.data + p * dy.stride + i, d * factor);
    }
  if (label >= 0) *element(dy, r, label) = (*element(y, r, label) * mass - (s.keep + s.rest)) * factor;
}

template <class T, class Loss, bool smoothed>
void class_rows(const LossRows<T>& a, int begin, int end) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  const Panels<const T> z = a.y;
  Smoothing<T> smoothing;
  if constexpr (smoothed) smoothing = {static_cast<T>(1 - a.hyper[0]), static_cast<T>(a.hyper[0] / a.outputs)};
  // sum e^z, what a row's targets add up to, their product with z, 1 / sum, and the slope of the loss by the
  // cross-entropy: a register of rows shares one logarithm and one division.
  T sum[V], mass[V], dot[V], scale[V], slope[V];
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
          Vec<T> low = x.low - most, high = x.high - most;
          if constexpr (Loss::relative) low = low - log_or_zero<T>(t.low), high = high - log_or_zero<T>(t.high);
          masses = masses + (t.low + t.high);
          dots = fma(t.low, low, fma(t.high, high, dots));
        }
        mass[i] = reduce_sum<T>(masses);
        dot[i] = reduce_sum<T>(dots);
      }
      if constexpr (smoothed) {
        Vec<T> total{};
        for (int c = 0; c < a.outputs; c += W) {
          const Columns<T> x(z, c, a.outputs, r, most);
          total = total + ((x.low - most) + (x.high - most));
        }
        mass[i] = mass[i] * smoothing.keep + static_cast<T>(a.hyper[0]);
        dot[i] = dot[i] * smoothing.keep + reduce_sum<T>(total) * smoothing.rest;
      }
      sum[i] = row_exp<T>(z, a.y, a.outputs, r, most);
    }
    for (int i = rows; i < V; ++i) sum[i] = 1, mass[i] = dot[i] = 0;
    Vec<T> loss = fma(log<T>(load(sum)), load(mass), -load(dot)), by_entropy;
    Loss::template evaluate<T>(a.hyper, loss, by_entropy);
    store(slope, by_entropy);
    store(scale, T(1) / load(sum));
    for (int i = 0; i < rows; ++i) {
      const int r = first + i;
      a.loss[r] = (a.weight ? static_cast<double>(a.weight[r]) : 1.0) * static_cast<double>(loss[i]);
      if (a.dy.data)
        class_gradient<T, smoothed>(a, r, scale[i], mass[i], smoothing, row_factor(a, r) * slope[i]);
      else
        row_scale<T>(a.y, a.outputs, r, scale[i]);
    }
  }
}

template <class T, class Loss>
void class_loss(const LossRows<T>& a, int begin, int end) {
  if constexpr (Loss::smooths)
    if (a.hyper[0] > 0) return class_rows<T, Loss, true>(a, begin, end);
  class_rows<T, Loss, false>(a, begin, end);
}

}  // namespace
}  // namespace fallline
