// Elementwise activations: y = value(z), and the gradient with respect to z from dy and y, or from dy and z where y
// does not tell enough (`from_input`). One with a free parameter takes it last and names its default. Softmax, which
// needs whole rows, is in rows.h.
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

struct Exponential {
  static constexpr const char* name = "exponential";
  static constexpr bool fused = false;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return exp<T>(z);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y) {
    return dy * y;
  }
};

// z, or slope z below 0, slope >= 0 (Maas et al. 2013)
struct LeakyRelu {
  static constexpr const char* name = "leaky_relu";
  static constexpr double parameter = 0.01;
  static constexpr bool fused = false;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z, Vec<T> slope) {
    return z < T(0) ? slope * z : z;
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y, Vec<T> slope) {
    return y > T(0) ? dy : slope * dy;
  }
};

// z sigmoid(z) (Elfwing et al. 2017, Ramachandran et al. 2017)
struct Silu {
  static constexpr const char* name = "silu";
  static constexpr bool fused = false, from_input = true;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return z * sigmoid<T>(z);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> z) {
    const Vec<T> s = sigmoid<T>(z);
    return dy * (s * fma(z, T(1) - s, broadcast(T(1))));
  }
};

// `fused` ones are cheap enough to be worth a copy of the register tile each; the others run over the tile's rows
// while they are still in the first-level cache.
using Activations = TypeList<Linear, Relu, Sigmoid, Tanh, Exponential, LeakyRelu, Silu>;

template <class Activation>
constexpr bool from_input() {
  if constexpr (requires { Activation::from_input; })
    return Activation::from_input;
  else
    return false;
}

template <class Activation>
constexpr double default_parameter() {
  if constexpr (requires { Activation::parameter; })
    return Activation::parameter;
  else
    return 0;
}

template <class Activation, class T>
FALLLINE_INLINE Vec<T> value_of(Vec<T> z, Vec<T> parameter) {
  if constexpr (requires { Activation::parameter; })
    return Activation::template value<T>(z, parameter);
  else
    return Activation::template value<T>(z);
}

template <class Activation, class T>
FALLLINE_INLINE Vec<T> gradient_of(Vec<T> dy, Vec<T> at, Vec<T> parameter) {
  if constexpr (requires { Activation::parameter; })
    return Activation::template gradient<T>(dy, at, parameter);
  else
    return Activation::template gradient<T>(dy, at);
}

}  // namespace
}  // namespace fallline
