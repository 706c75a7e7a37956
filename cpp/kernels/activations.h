// Elementwise activations: y = value(z), and the gradient with respect to z from dy and y.
// Softmax, which needs whole rows, is in rows.h.
#pragma once

#include "math.h"
#include "type_list.h"

namespace fallline {
namespace {

struct Linear {
  static constexpr const char* name = "linear";
  static constexpr bool fused = true;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return z;
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T>) {
    return dy;
  }
};

struct Relu {
  static constexpr const char* name = "relu";
  static constexpr bool fused = true;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return z < T(0) ? Vec<T>{} : z;
  }  // NaN stays NaN
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y) {
    return y > T(0) ? dy : Vec<T>{};
  }
};

struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  static constexpr bool fused = false;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return sigmoid<T>(z);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y) {
    return dy * (y * (T(1) - y));
  }
};

struct Tanh {
  static constexpr const char* name = "tanh";
  static constexpr bool fused = false;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return tanh<T>(z);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y) {
    return dy * fma(-y, y, broadcast(T(1)));
  }
};

// `fused` ones are cheap enough to be worth a copy of the register tile each; the others run over the tile's rows
// while they are still in the first-level cache.
using Activations = TypeList<Linear, Relu, Sigmoid, Tanh>;

}  // namespace
}  // namespace fallline
