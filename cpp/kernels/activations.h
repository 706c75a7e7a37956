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

// ln(1 + e^z)
struct Softplus {
  static constexpr const char* name = "softplus";
  static constexpr bool fused = false;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return softplus<T>(z);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y) {
    return -dy * expm1<T>(-y);
  }
};

// z / (1 + |z|)
struct Softsign {
  static constexpr const char* name = "softsign";
  static constexpr bool fused = false;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    const Vec<T> x = cut<T>(z, std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max());
    return x / (T(1) + abs<T>(x));
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y) {
    const Vec<T> rest = T(1) - abs<T>(y);
    return dy * (rest * rest);
  }
};

// (z + 3) / 6, cut to [0, 1]   (Howard et al. 2019)
struct HardSigmoid {
  static constexpr const char* name = "hard_sigmoid";
  static constexpr bool fused = false;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return (cut<T>(z, -3, 3) + T(3)) * T(1.0 / 6);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y) {
    const Vec<T> zero{};
    return y > T(0) ? (y < T(1) ? dy * T(1.0 / 6) : zero) : zero;
  }
};

// z, or slope z below 0, slope >= 0   (Maas et al. 2013)
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

// z, or alpha (e^z - 1) below 0, alpha >= 0   (Clevert et al. 2016)
struct Elu {
  static constexpr const char* name = "elu";
  static constexpr double parameter = 1;
  static constexpr bool fused = false;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z, Vec<T> alpha) {
    return z > T(0) ? z : alpha * expm1<T>(z);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y, Vec<T> alpha) {
    return y > T(0) ? dy : dy * (y + alpha);
  }
};

// scale elu(z), by which mean 0 and variance 1 are kept   (Klambauer et al. 2017)
struct Selu {
  static constexpr const char* name = "selu";
  static constexpr bool fused = false;
  static constexpr double scale = 1.0507009873554804934, alpha = 1.6732632423543772848;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return T(scale) * (z > T(0) ? z : T(alpha) * expm1<T>(z));
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y) {
    return y > T(0) ? T(scale) * dy : dy * (y + T(scale * alpha));
  }
};

// From here on z times a gate that rises from 0 to 1. Where the gate has come to its end, z is cut: infinity must not
// meet 0.

// z P(X <= z) for a standard normal X   (Hendrycks, Gimpel 2016)
struct Gelu {
  static constexpr const char* name = "gelu";
  static constexpr bool fused = false, from_input = true;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return at_least<T>(z, -40) * Normal<T>(z).below;
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> z) {
    const Vec<T> x = cut<T>(z, -40, 40);
    const Normal<T> normal(x);
    return dy * fma(x * normal.bell, broadcast(T(0.39894228040143267794)), normal.below);
  }
};

// z (1 + tanh(u)) / 2 = z sigmoid(2 u) with u = sqrt(2 / pi) (z + 0.044715 z^3)   (the same)
struct GeluTanh {
  static constexpr const char* name = "gelu_tanh";
  static constexpr bool fused = false, from_input = true;
  static constexpr double linear = 1.5957691216057307117, cubic = 0.044715 * linear;
  template <class T>
  static FALLLINE_INLINE Vec<T> gate(Vec<T> z) {
    return sigmoid<T>(z * fma(z * z, broadcast(T(cubic)), broadcast(T(linear))));
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return at_least<T>(z, -22) * gate<T>(z);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> z) {
    const Vec<T> x = cut<T>(z, -22, 22), s = gate<T>(x);
    const Vec<T> rise = fma(x * x, broadcast(T(3 * cubic)), broadcast(T(linear)));
    return dy * (s * fma(x * rise, T(1) - s, broadcast(T(1))));
  }
};

// z sigmoid(z)   (Elfwing et al. 2017, Ramachandran et al. 2017)
struct Silu {
  static constexpr const char* name = "silu";
  static constexpr bool fused = false, from_input = true;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return at_least<T>(z, -800) * sigmoid<T>(z);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> z) {
    const Vec<T> x = cut<T>(z, -800, 800), s = sigmoid<T>(x);
    return dy * (s * fma(x, T(1) - s, broadcast(T(1))));
  }
};

// z hard_sigmoid(z)   (Howard et al. 2019)
struct HardSwish {
  static constexpr const char* name = "hard_swish";
  static constexpr bool fused = false, from_input = true;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    return at_least<T>(z, -3) * HardSigmoid::value<T>(z);
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> z) {
    const Vec<T> inside = dy * fma(z, broadcast(T(1.0 / 3)), broadcast(T(0.5)));
    return z > T(-3) ? (z < T(3) ? inside : dy) : Vec<T>{};
  }
};

// z tanh(ln(1 + e^z)) = z n / (n + 2) with n = e^z (e^z + 2)   (Misra 2020)
struct Mish {
  static constexpr const char* name = "mish";
  static constexpr bool fused = false, from_input = true;
  template <class T>
  static FALLLINE_INLINE Vec<T> value(Vec<T> z) {
    const Vec<T> w = exp<T>(cut<T>(z, -800, 30)), n = w * (w + T(2));
    return at_least<T>(z, -800) * (n / (n + T(2)));
  }
  template <class T>
  static FALLLINE_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> z) {
    const Vec<T> x = cut<T>(z, -800, 30), w = exp<T>(x), n = w * (w + T(2)), part = T(1) / (n + T(2));
    return dy * fma(x * (T(4) * w * (w + T(1)) * part), part, n * part);
  }
};

// `fused` ones are cheap enough to be worth a copy of the register tile each; the others run over the tile's rows
// while they are still in the first-level cache.
using Activations = TypeList<Linear, Relu, Sigmoid, Tanh, Exponential, Softplus, Softsign, HardSigmoid, LeakyRelu, Elu,
                             Selu, Gelu, GeluTanh, Silu, HardSwish, Mish>;

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
