// Update rules: from the gradient g to new weights w and state s, elementwise.
// prepare() computes a step's scalars once, in double, from the hyper-parameters h (in the order of `hyper`), the
// learning rate and the step number t = 1, 2, ...; the functor then only multiplies and adds.
#pragma once

#include <cmath>

#include "table.h"
#include "type_list.h"
#include "vec.h"

namespace fallline {
namespace {

// w <- w - rate g
struct Sgd {
  static constexpr const char* name = "sgd";
  static constexpr const char* const hyper[] = {nullptr};
  static constexpr const char* const slots[] = {nullptr};
  static void prepare(const double*, double rate, double, double* c) { c[0] = -rate; }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>*) {
    w = fma(c[0], g, w);
  }
};

// b <- momentum b + (1 - dampening) g, without dampening at t = 1;  w <- w - rate b   (Polyak 1964)
struct Momentum {
  static constexpr const char* name = "momentum";
  static constexpr const char* const hyper[] = {"momentum", "dampening", nullptr};
  static constexpr const char* const slots[] = {"momentum", nullptr};
  static void prepare(const double* h, double rate, double t, double* c) {
    c[0] = -rate;
    c[1] = h[0];
    c[2] = t > 1 ? 1 - h[1] : 1;
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    s[0] = fma(c[1], s[0], c[2] * g);
    w = fma(c[0], s[0], w);
  }
};

// b <- momentum b + (1 - momentum) g, an average that starts at 0;  w <- w - rate b, or w - rate b / (1 - momentum^t)
// if it is corrected for its start
struct AveragedGradient : Momentum {
  static constexpr const char* name = "averaged_gradient";
  static constexpr const char* const hyper[] = {"momentum", "corrected", nullptr};
  static void prepare(const double* h, double rate, double t, double* c) {
    c[0] = h[1] != 0 ? -rate / (1 - std::pow(h[0], t)) : -rate;
    c[1] = h[0];
    c[2] = 1 - h[0];
  }
};

// v <- momentum v - rate g;  w <- w + v: a changed rate acts on new gradients only   (Sutskever et al. 2013)
struct Velocity {
  static constexpr const char* name = "velocity";
  static constexpr const char* const hyper[] = {"momentum", nullptr};
  static constexpr const char* const slots[] = {"velocity", nullptr};
  static void prepare(const double* h, double rate, double, double* c) {
    c[0] = -rate;
    c[1] = h[0];
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    s[0] = fma(c[1], s[0], c[0] * g);
    w = w + s[0];
  }
};

// b <- momentum b + g;  w <- w - rate (g + momentum b)   (Nesterov 1983, Sutskever et al. 2013)
struct Nesterov {
  static constexpr const char* name = "nesterov";
  static constexpr const char* const hyper[] = {"momentum", nullptr};
  static constexpr const char* const slots[] = {"momentum", nullptr};
  static void prepare(const double* h, double rate, double, double* c) {
    c[0] = -rate;
    c[1] = h[0];
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    s[0] = fma(c[1], s[0], g);
    w = fma(c[0], fma(c[1], s[0], g), w);
  }
};

// v <- rho v + (1 - rho) g^2;  w <- w - rate g / (sqrt(v) + epsilon), or g / sqrt(v + epsilon) if epsilon is inside.
// v starts at initial + first g_1^2   (Tieleman & Hinton 2012)
struct RmsProp {
  static constexpr const char* name = "rmsprop";
  static constexpr const char* const hyper[] = {"rho", "epsilon", "epsilon_inside", "initial", "first", nullptr};
  static constexpr const char* const slots[] = {"v", nullptr};
  static void prepare(const double* h, double rate, double t, double* c) {
    const double missing = t > 1 ? 0 : h[0];  // share of the start, which is not in memory: v is 0 there
    c[0] = -rate;
    c[1] = h[0];
    c[2] = 1 - h[0] + missing * h[4];
    c[3] = missing * h[3];
    place(h[1], h[2], c + 4);
  }

  static void place(double epsilon, double inside, double* c) {
    c[0] = inside != 0 ? epsilon : 0;
    c[1] = inside != 0 ? 0 : epsilon;
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    s[0] = fma(c[1], s[0], c[2] * (g * g)) + c[3];
    w = fma(c[0], g / (sqrt(s[0] + c[4]) + c[5]), w);
  }
};

// v <- v + g^2 from an initial value;  w <- w - rate g / (sqrt(v) + epsilon), or g / sqrt(v + epsilon)   (Duchi et al.
// 2011)
struct AdaGrad : RmsProp {
  static constexpr const char* name = "adagrad";
  static constexpr const char* const hyper[] = {"epsilon", "epsilon_inside", "initial_accumulator_value", nullptr};
  static void prepare(const double* h, double rate, double t, double* c) {
    c[0] = -rate;
    c[1] = c[2] = 1;
    c[3] = t > 1 ? 0 : h[2];
    place(h[0], h[1], c + 4);
  }
};

// v <- rho v + (1 - rho) g^2;  d = sqrt(u + epsilon) / sqrt(v + epsilon) g;  u <- rho u + (1 - rho) d^2;
// w <- w - rate d   (Zeiler 2012)
struct AdaDelta {
  static constexpr const char* name = "adadelta";
  static constexpr const char* const hyper[] = {"rho", "epsilon", nullptr};
  static constexpr const char* const slots[] = {"v", "u", nullptr};
  static void prepare(const double* h, double rate, double, double* c) {
    c[0] = -rate;
    c[1] = h[0];
    c[2] = 1 - h[0];
    c[3] = h[1];
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    s[0] = fma(c[1], s[0], c[2] * (g * g));
    const Vec<T> d = sqrt((s[1] + c[3]) / (s[0] + c[3])) * g;
    s[1] = fma(c[1], s[1], c[2] * (d * d));
    w = fma(c[0], d, w);
  }
};

// m <- beta_1 m + (1 - beta_1) g;  v <- beta_2 v + (1 - beta_2) g^2;
// w <- w - rate m^ / (sqrt(v^) + epsilon),  m^ = m / (1 - beta_1^t),  v^ = v / (1 - beta_2^t)   (Kingma & Ba 2015)
struct Adam {
  static constexpr const char* name = "adam";
  static constexpr const char* const hyper[] = {"beta_1", "beta_2", "epsilon", "epsilon_hat", nullptr};
  static constexpr const char* const slots[] = {"m", "v", nullptr};
  static void prepare(const double* h, double rate, double t, double* c) {
    // The root of 1 - beta_2^t is multiplied through, so that one root and one division an element are left. An epsilon
    // "hat" is added to the root of v itself, before the correction.
    const double root = std::sqrt(1 - std::pow(h[1], t));
    c[0] = -rate * root / (1 - std::pow(h[0], t));
    c[1] = h[0];
    c[2] = 1 - h[0];
    c[3] = h[1];
    c[4] = 1 - h[1];
    c[5] = h[3] != 0 ? h[2] : h[2] * root;
  }

  template <class T>
  static FALLLINE_INLINE void moments(const Vec<T>* c, Vec<T> g, Vec<T>* s) {
    s[0] = fma(c[1], s[0], c[2] * g);
    s[1] = fma(c[3], s[1], c[4] * (g * g));
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    moments<T>(c, g, s);
    w = fma(c[0], s[0] / (sqrt(s[1]) + c[5]), w);
  }
};

// Adam with the largest v so far in the place of v   (Reddi, Kale, Kumar 2018)
struct AmsGrad : Adam {
  static constexpr const char* name = "amsgrad";
  static constexpr const char* const slots[] = {"m", "v", "v_max", nullptr};

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    moments<T>(c, g, s);
    s[2] = max<T>(s[2], s[1]);
    w = fma(c[0], s[0] / (sqrt(s[2]) + c[5]), w);
  }
};

// Adam's m and v;  w <- w - rate ((1 - mu_t) / (1 - p_t) g + mu_{t+1} / (1 - p_{t+1}) m) / (sqrt(v^) + epsilon),
// mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2),  p_t = mu_1 mu_2 ... mu_t   (Dozat 2016)
struct NAdam : Adam {
  static constexpr const char* name = "nadam";
  static constexpr const char* const hyper[] = {"beta_1", "beta_2", "epsilon", "momentum_decay", nullptr};
  static void prepare(const double* h, double rate, double t, double* c) {
    const double root = std::sqrt(1 - std::pow(h[1], t)), product = mu_product(h[0], h[3], t);
    const double now = mu(h[0], h[3], t), next = mu(h[0], h[3], t + 1);
    c[0] = -rate * root * next / (1 - product * next);
    c[1] = h[0];
    c[2] = 1 - h[0];
    c[3] = h[1];
    c[4] = 1 - h[1];
    c[5] = h[2] * root;
    c[6] = -rate * root * (1 - now) / (1 - product);
  }

  static double mu(double beta, double decay, double t) { return beta * (1 - 0.5 * std::pow(0.96, t * decay)); }

  // A thread goes on from the product of its last step. One too small to change 1 - p is left as it is, which bounds
  // the work of starting in the middle.
  static double mu_product(double beta, double decay, double t) {
    struct Product {
      double beta, decay, t, value;
    };
    static thread_local Product p{};
    if (p.beta != beta || p.decay != decay || p.t > t || p.t == 0) p = {beta, decay, 0, 1};
    while (p.t < t && p.value > 0x1p-60) p.value *= mu(beta, decay, ++p.t);
    return p.value;
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    moments<T>(c, g, s);
    w = w + fma(c[0], s[0], c[6] * g) / (sqrt(s[1]) + c[5]);
  }
};

// w <- w - rate sgn(beta_1 m + (1 - beta_1) g);  m <- beta_2 m + (1 - beta_2) g   (Chen et al. 2023)
struct Lion {
  static constexpr const char* name = "lion";
  static constexpr const char* const hyper[] = {"beta_1", "beta_2", nullptr};
  static constexpr const char* const slots[] = {"m", nullptr};
  static void prepare(const double* h, double rate, double, double* c) {
    c[0] = -rate;
    c[1] = h[0];
    c[2] = 1 - h[0];
    c[3] = h[1];
    c[4] = 1 - h[1];
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    const Vec<T> x = fma(c[1], s[0], c[2] * g);
    w = w + (x > T(0) ? c[0] : (x < T(0) ? -c[0] : x));  // nan stays nan
    s[0] = fma(c[3], s[0], c[4] * g);
  }
};

using Optimizers = TypeList<Sgd, Momentum, AveragedGradient, Velocity, Nesterov, AdaGrad, RmsProp, AdaDelta, Adam,
                            AmsGrad, NAdam, Lion>;

}  // namespace
}  // namespace fallline
