// Elementwise losses: value and gradient together, averaged over the outputs of a row; `scale` carries
// 1 / (sum of weights) or 1. Those of whole rows are in class_losses.h.
#pragma once

#include <iterator>

#include "rows.h"

namespace fallline {
namespace {

// Each maps output y and target t to its value and its gradient with respect to the output; h are its own numbers, in
// the order of `hyper`. If it takes over the last activation, the output is the logit and becomes the prediction.
// Where the slope jumps, the gradient is 0.

template <class T>
FALLLINE_INLINE Vec<T> sign(Vec<T> x) {
  return x > T(0) ? broadcast(T(1)) : (x < T(0) ? broadcast(T(-1)) : Vec<T>{});
}

// (y - t)^2
struct MeanSquaredError {
  static constexpr const char* name = "mse";
  static constexpr const char* fused_activation = nullptr;
  static constexpr const char* const hyper[] = {nullptr};
  template <class T>
  static FALLLINE_INLINE void evaluate(const Vec<T>*, Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> e = y - t;
    value = e * e;
    gradient = e + e;
  }
};

// |y - t|
struct MeanAbsoluteError {
  static constexpr const char* name = "mae";
  static constexpr const char* fused_activation = nullptr;
  static constexpr const char* const hyper[] = {nullptr};
  template <class T>
  static FALLLINE_INLINE void evaluate(const Vec<T>*, Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> e = y - t;
    value = abs<T>(e);
    gradient = sign<T>(e);
  }
};

// e^2 / 2 up to |e| = delta and straight on from there, e = y - t   (Huber 1964)
struct Huber {
  static constexpr const char* name = "huber";
  static constexpr const char* fused_activation = nullptr;
  static constexpr const char* const hyper[] = {"delta", nullptr};
  template <class T>
  static FALLLINE_INLINE void evaluate(const Vec<T>* h, Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> e = y - t, size = abs<T>(e), slope = min<T>(size, h[0]);
    value = slope * (size - T(0.5) * slope);
    gradient = e < T(0) ? -slope : slope;
  }
};

// ln(cosh(y - t)), from e^-2|y - t| so that nothing overflows
struct LogCosh {
  static constexpr const char* name = "log_cosh";
  static constexpr const char* fused_activation = nullptr;
  static constexpr const char* const hyper[] = {nullptr};
  template <class T>
  static FALLLINE_INLINE void evaluate(const Vec<T>*, Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> e = y - t, size = abs<T>(e);
    value = (size - T(0.693147180559945309417)) + log1p<T>(exp<T>(-(size + size)));
    gradient = tanh<T>(e);
  }
};

// q (t - y) below the target, (1 - q) (y - t) above   (Koenker, Bassett 1978)
struct Quantile {
  static constexpr const char* name = "quantile";
  static constexpr const char* fused_activation = nullptr;
  static constexpr const char* const hyper[] = {"q", nullptr};
  template <class T>
  static FALLLINE_INLINE void evaluate(const Vec<T>* h, Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> e = y - t;
    gradient = e > T(0) ? T(1) - h[0] : (e < T(0) ? -h[0] : Vec<T>{});
    value = e * gradient;
  }
};

// e^z - t z with the prediction e^z
struct Poisson {
  static constexpr const char* name = "poisson";
  static constexpr const char* fused_activation = "exponential";
  static constexpr const char* const hyper[] = {nullptr};
  template <class T>
  static FALLLINE_INLINE void evaluate(const Vec<T>*, Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> z = y;
    y = exp<T>(z);
    value = fma(-t, z, y);
    gradient = y - t;
  }
};

// max(0, 1 - t y) for targets -1 or 0, which mean the same, and 1
struct Hinge {
  static constexpr const char* name = "hinge";
  static constexpr const char* fused_activation = nullptr;
  static constexpr const char* const hyper[] = {nullptr};
  template <class T>
  static FALLLINE_INLINE void evaluate(const Vec<T>*, Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> side = t == T(0) ? broadcast(T(-1)) : t, margin = fma(-side, y, broadcast(T(1)));
    value = margin < T(0) ? Vec<T>{} : margin;  // NaN stays NaN
    gradient = margin > T(0) ? -side : Vec<T>{};
  }
};

// -t ln(p) - (1 - t) ln(1 - p) with p = sigmoid(z), as max(z, 0) - z t + ln(1 + e^-|z|)
template <class T>
FALLLINE_INLINE Vec<T> binary_cross_entropy(Vec<T> z, Vec<T> t) {
  const Vec<T> positive = z < T(0) ? Vec<T>{} : z;
  return fma(-z, t, positive) + log1p<T>(exp<T>(-abs<T>(z)));
}

// The same for t (1 - s) + s / 2, s = label_smoothing   (Szegedy et al. 2016)
struct BinaryCrossEntropy {
  static constexpr const char* name = "binary_cross_entropy";
  static constexpr const char* fused_activation = "sigmoid";
  static constexpr const char* const hyper[] = {"label_smoothing", nullptr};
  template <class T>
  static FALLLINE_INLINE void evaluate(const Vec<T>* h, Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> smooth = fma(t, T(1) - h[0], T(0.5) * h[0]);
    value = binary_cross_entropy<T>(y, smooth);
    y = sigmoid<T>(y);
    gradient = y - smooth;
  }
};

// b (1 - p)^gamma for a cross-entropy b >= 0 and the probability p = e^-b of what is right, and its slope by b.
template <class T>
FALLLINE_INLINE void focus(Vec<T> gamma, Vec<T>& b, Vec<T>& slope) {
  const Vec<T> miss = -expm1<T>(-b);
  const Vec<T> weight = exp<T>(gamma * max<T>(log<T>(miss), broadcast(FloatBits<T>::exp_low)));
  slope = weight * fma(gamma * (T(1) - miss), miss > T(0) ? b / miss : broadcast(T(1)), broadcast(T(1)));
  b = b * weight;
}

// w b (1 - e^-b)^gamma with the binary cross-entropy b, and w from weight_0 to weight_1 as t goes from 0 to 1
// (Lin et al. 2017)
struct BinaryFocalCrossEntropy {
  static constexpr const char* name = "binary_focal_cross_entropy";
  static constexpr const char* fused_activation = "sigmoid";
  static constexpr const char* const hyper[] = {"gamma", "weight_0", "weight_1", nullptr};
  template <class T>
  static FALLLINE_INLINE void evaluate(const Vec<T>* h, Vec<T>& y, Vec<T> t, Vec<T>& value, Vec<T>& gradient) {
    const Vec<T> weight = fma(t, h[2] - h[1], h[1]);
    Vec<T> b = binary_cross_entropy<T>(y, t), slope;
    focus<T>(h[0], b, slope);
    y = sigmoid<T>(y);
    value = weight * b;
    gradient = weight * slope * (y - t);
  }
};

using ElementwiseLosses = TypeList<MeanSquaredError, MeanAbsoluteError, Huber, LogCosh, Quantile, Poisson, Hinge,
                                   BinaryCrossEntropy, BinaryFocalCrossEntropy>;

// In double, since 1 / (sum of weights) may leave the range of T.
template <class T>
FALLLINE_INLINE T row_factor(const LossRows<T>& a, int r) {
  return static_cast<T>((a.weight ? static_cast<double>(a.weight[r]) : 1.0) * a.scale);
}

template <class T, class Loss>
void elementwise_loss(const LossRows<T>& a, int begin, int end) {
  constexpr int W = panel_width<T>, V = lanes<T>, numbers = static_cast<int>(std::size(Loss::hyper)) - 1;
  Vec<T> h[numbers + 1]{};
  for (int i = 0; i < numbers; ++i) h[i] = broadcast(static_cast<T>(a.hyper[i]));
  const T mean = T(1) / static_cast<T>(a.outputs);
  // The losses of n columns of a row, and their gradients; columns beyond the last count for nothing.
  const auto evaluate = [&](int p, std::ptrdiff_t i, int n, Vec<T> factor) __attribute__((always_inline)) {
    Vec<T> y = load(a.y.data + p * a.y.stride + i), value, gradient;
    Loss::template evaluate<T>(h, y, load(a.target.data + p * a.target.stride + i), value, gradient);
    store(a.y.data + p * a.y.stride + i, y);
    if (a.dy.data) store(a.dy.data + p * a.dy.stride + i, first_lanes<T>(gradient * factor, n));
    return first_lanes<T>(value, n);
  };
  const auto rows = [&](auto sum_of_row) __attribute__((always_inline)) {
    for (int r = begin; r < end; ++r) {
      const T weight = a.weight ? a.weight[r] : T(1);
      const Vec<T> sum = sum_of_row(at<T>(r), broadcast(row_factor(a, r) * mean));
      a.loss[r] = static_cast<double>(weight) * static_cast<double>(reduce_sum<T>(sum) * mean);
    }
  };
  if (a.outputs <= V) return rows([&](std::ptrdiff_t i, Vec<T> factor) { return evaluate(0, i, a.outputs, factor); });
  rows([&](std::ptrdiff_t i, Vec<T> factor) {
    Vec<T> sum{};
    for (int c = 0; c < a.outputs; c += V) sum = sum + evaluate(c / W, i + c % W, std::min(V, a.outputs - c), factor);
    return sum;
  });
}

}  // namespace
}  // namespace fallline
