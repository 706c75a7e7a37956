// Piecewise linear units whose pieces are learned: PReLU and Maxout.
#pragma once

#include "rows.h"

namespace fallline {
namespace {

// y = x, or slope[c] x below 0 (He et al. 2015).
template <class T>
void prelu(Panels<const T> x, const T* slope, Panels<T> y, int columns, int begin, int end) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  for (int c = 0, p = 0; c < columns; c += W, ++p)
    for (std::ptrdiff_t i = at<T>(begin); i < at<T>(end); i += W)
      for (int v = 0; v < W; v += V) {
        const Vec<T> z = load(x.data + p * x.stride + i + v);
        store(y.data + p * y.stride + i + v, z < T(0) ? load(slope + c + v) * z : z);
      }
}

// dx = dy, or slope[c] dy where x <= 0.
template <class T>
void prelu_gradient(Panels<const T> x, const T* slope, Panels<const T> dy, Panels<T> dx, int columns, int begin,
                    int end) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  for (int c = 0, p = 0; c < columns; c += W, ++p)
    for (std::ptrdiff_t i = at<T>(begin); i < at<T>(end); i += W)
      for (int v = 0; v < W; v += V) {
        const Vec<T> d = load(dy.data + p * dy.stride + i + v);
        store(dx.data + p * dx.stride + i + v,
              load(x.data + p * x.stride + i + v) > T(0) ? d : load(slope + c + v) * d);
      }
}

// sums[c] = sum over rows of dy min(x, 0), for one panel.
template <class T>
void prelu_slope_gradient(const T* x, const T* dy, int rows, T* sums) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  for (int v = 0; v < W; v += V) {
    Vec<T> sum{};
    for (int r = 0; r < rows; ++r) {
      const Vec<T> z = load(x + r * W + v);
      sum = fma(load(dy + r * W + v), z < T(0) ? z : Vec<T>{}, sum);
    }
    store(sums + v, sum);
  }
}

// Piece j of unit c is column j units + c of x. f(element of x, element of the unit's panels, lanes that lie together)
// for each stretch of a piece that crosses no panel border on either side.
template <class T, class F>
FALLLINE_INLINE void each_stretch(int units, int piece, F f) {
  constexpr int W = panel_width<T>;
  for (int c = 0; c < units;) {
    const int s = piece * units + c;
    const int n = std::min({W - s % W, W - c % W, units - c});
    f(s, c, n);
    c += n;
  }
}

// y[c] = the largest of its pieces (Goodfellow et al. 2013); NaN in a piece gives NaN.
template <class T>
void largest_piece(Panels<const T> x, Panels<T> y, int units, int pieces, int begin, int end) {
  for (int j = 0; j < pieces; ++j)
    each_stretch<T>(units, j, [&](int s, int c, int n) {
      for (int r = begin; r < end; ++r) {
        const T* in = element(x, r, s);
        T* out = element(y, r, c);
        for (int i = 0; i < n; ++i) out[i] = j > 0 && !(in[i] > out[i]) && in[i] == in[i] ? out[i] : in[i];
      }
    });
}

// dx of the first piece that was the largest is dy, of the others 0. `left` gets what no piece has taken.
template <class T>
void largest_piece_gradient(Panels<const T> x, Panels<const T> y, Panels<const T> dy, Panels<T> left, Panels<T> dx,
                            int units, int pieces, int begin, int end) {
  each_vector<T>(dy, left, units, begin, end, [](Vec<T> d, const T*) { return d; });
  for (int j = 0; j < pieces; ++j)
    each_stretch<T>(units, j, [&](int s, int c, int n) {
      for (int r = begin; r < end; ++r) {
        const T *in = element(x, r, s), *most = element(y, r, c);
        T *rest = element(left, r, c), *out = element(dx, r, s);
        for (int i = 0; i < n; ++i) {
          const bool taken = in[i] == most[i];
          out[i] = taken ? rest[i] : T(0);
          rest[i] = taken ? T(0) : rest[i];
        }
      }
    });
}

}  // namespace
}  // namespace fallline
