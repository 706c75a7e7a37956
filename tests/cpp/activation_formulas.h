// Every elementwise activation as formulas in long double.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

namespace fallline::testing {

// y from z, and its slope from y, or from z where `from_input`; p is the parameter. Exact ones lose no bit.
struct Formula {
  using Function = long double (*)(long double x, long double p);
  Function value, slope;
  bool from_input = false, exact = false;
};

inline long double sigmoid(long double z) { return 1 / (1 + std::exp(-z)); }
inline long double softplus(long double z) { return std::max(z, 0.0L) + std::log1p(std::exp(-std::abs(z))); }
inline long double normal_below(long double z) { return std::erfc(-z / std::sqrt(2.0L)) / 2; }
inline long double normal_density(long double z) { return std::exp(-z * z / 2) / std::sqrt(2 * std::acos(-1.0L)); }
inline long double hard_sigmoid(long double z) { return std::clamp((z + 3) / 6, 0.0L, 1.0L); }
inline long double cubic(long double z) { return std::sqrt(8 / std::acos(-1.0L)) * (z + 0.044715L * z * z * z); }

inline Formula formula(const std::string& activation) {
  using X = long double;
  constexpr X selu_scale = 1.0507009873554804934193349852946L, selu_alpha = 1.6732632423543772848170429916717L;
  static const std::map<std::string, Formula> formulas{
      {"linear", {[](X z, X) { return z; }, [](X, X) { return 1.0L; }, false, true}},
      {"relu", {[](X z, X) { return std::max(z, 0.0L); }, [](X y, X) { return y > 0 ? 1.0L : 0.0L; }, false, true}},
      {"sigmoid", {[](X z, X) { return sigmoid(z); }, [](X y, X) { return y * (1 - y); }}},
      {"tanh", {[](X z, X) { return std::tanh(z); }, [](X y, X) { return 1 - y * y; }}},
      {"exponential", {[](X z, X) { return std::exp(z); }, [](X y, X) { return y; }}},
      {"softplus", {[](X z, X) { return softplus(z); }, [](X y, X) { return -std::expm1(-y); }}},
      {"softsign",
       {[](X z, X) { return z / (1 + std::abs(z)); }, [](X y, X) { return (1 - std::abs(y)) * (1 - std::abs(y)); }}},
      {"hard_sigmoid",
       {[](X z, X) { return hard_sigmoid(z); }, [](X y, X) { return y > 0 && y < 1 ? 1 / 6.0L : 0.0L; }}},
      {"leaky_relu", {[](X z, X p) { return z < 0 ? p * z : z; }, [](X y, X p) { return y > 0 ? 1.0L : p; }}},
      {"elu", {[](X z, X p) { return z > 0 ? z : p * std::expm1(z); }, [](X y, X p) { return y > 0 ? 1.0L : y + p; }}},
      {"selu",
       {[](X z, X) { return selu_scale * (z > 0 ? z : selu_alpha * std::expm1(z)); },
        [](X y, X) { return y > 0 ? selu_scale : y + selu_scale * selu_alpha; }}},
      {"gelu",
       {[](X z, X) { return z * normal_below(z); }, [](X z, X) { return normal_below(z) + z * normal_density(z); },
        true}},
      {"gelu_tanh",
       {[](X z, X) { return z * sigmoid(cubic(z)); },
        [](X z, X) {
          const X s = sigmoid(cubic(z)), rise = std::sqrt(8 / std::acos(-1.0L)) * (1 + 3 * 0.044715L * z * z);
          return s + z * s * sigmoid(-cubic(z)) * rise;
        },
        true}},
      {"silu",
       {[](X z, X) { return z * sigmoid(z); }, [](X z, X) { return sigmoid(z) * (1 + z * sigmoid(-z)); }, true}},
      {"hard_swish",
       {[](X z, X) { return z * hard_sigmoid(z); },
        [](X z, X) { return z <= -3  ? 0.0L
                            : z >= 3 ? 1.0L
                                     : z / 3 + 0.5L; }, true}},
      {"mish",
       {[](X z, X) { return z * std::tanh(softplus(z)); },
        [](X z, X) {
          const X t = std::tanh(softplus(z));
          return t + z * (1 - t * t) * sigmoid(z);
        },
        true}},
  };
  return formulas.at(activation);
}

}  // namespace fallline::testing
