// Update rules, penalties and norms of all targets against their formulas in double.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "kernel_cases.h"

namespace fallline::testing {
namespace {

// Hyper-parameters by name, with every option off or on.
struct Hyper {
  double option;

  double operator()(const std::string& name) const {
    static const std::map<std::string, double> numbers{{"momentum", 0.9},
                                                       {"dampening", 0.25},
                                                       {"rho", 0.9},
                                                       {"beta_1", 0.9},
                                                       {"beta_2", 0.999},
                                                       {"epsilon", 1e-3},
                                                       {"initial", 0.5},
                                                       {"first", 0.25},
                                                       {"momentum_decay", 0.05},
                                                       {"initial_accumulator_value", 0.5}};
    const auto found = numbers.find(name);
    return found == numbers.end() ? option : found->second;
  }
};

double root(double v, const Hyper& h) {
  return h("epsilon_inside") != 0 ? std::sqrt(v + h("epsilon")) : std::sqrt(v) + h("epsilon");
}

// One weight by the rule's formula, with slots in the order of the table.
void formula(const std::string& rule, const Hyper& h, double rate, double t, double g, double& w, double* s) {
  const auto moments = [&] {
    s[0] = h("beta_1") * s[0] + (1 - h("beta_1")) * g;
    s[1] = h("beta_2") * s[1] + (1 - h("beta_2")) * g * g;
  };
  const auto corrected = [&](double v) {
    const double correction = std::sqrt(1 - std::pow(h("beta_2"), t));
    return h("epsilon_hat") != 0 ? (std::sqrt(v) + h("epsilon")) / correction
                                 : std::sqrt(v) / correction + h("epsilon");
  };
  const auto mu = [&](double k) { return h("beta_1") * (1 - 0.5 * std::pow(0.96, k * h("momentum_decay"))); };
  if (rule == "sgd") {
    w -= rate * g;
  } else if (rule == "momentum") {
    s[0] = h("momentum") * s[0] + (t > 1 ? 1 - h("dampening") : 1) * g;
    w -= rate * s[0];
  } else if (rule == "averaged_gradient") {
    s[0] = h("momentum") * s[0] + (1 - h("momentum")) * g;
    w -= rate * s[0] / (h("corrected") != 0 ? 1 - std::pow(h("momentum"), t) : 1);
  } else if (rule == "velocity") {
    s[0] = h("momentum") * s[0] - rate * g;
    w += s[0];
  } else if (rule == "nesterov") {
    s[0] = h("momentum") * s[0] + g;
    w -= rate * (g + h("momentum") * s[0]);
  } else if (rule == "adagrad") {
    if (t == 1) s[0] = h("initial_accumulator_value");
    s[0] += g * g;
    w -= rate * g / root(s[0], h);
  } else if (rule == "rmsprop") {
    if (t == 1) s[0] = h("initial") + h("first") * g * g;
    s[0] = h("rho") * s[0] + (1 - h("rho")) * g * g;
    w -= rate * g / root(s[0], h);
  } else if (rule == "adadelta") {
    s[0] = h("rho") * s[0] + (1 - h("rho")) * g * g;
    const double d = std::sqrt(s[1] + h("epsilon")) / std::sqrt(s[0] + h("epsilon")) * g;
    s[1] = h("rho") * s[1] + (1 - h("rho")) * d * d;
    w -= rate * d;
  } else if (rule == "adam") {
    moments();
    w -= rate * s[0] / (1 - std::pow(h("beta_1"), t)) / corrected(s[1]);
  } else if (rule == "amsgrad") {
    moments();
    s[2] = std::max(s[2], s[1]);
    w -= rate * s[0] / (1 - std::pow(h("beta_1"), t)) / corrected(s[2]);
  } else if (rule == "nadam") {
    moments();
    double product = 1;
    for (double k = 1; k <= t; ++k) product *= mu(k);
    const double ahead = (1 - mu(t)) / (1 - product) * g + mu(t + 1) / (1 - product * mu(t + 1)) * s[0];
    w -= rate * ahead / (std::sqrt(s[1] / (1 - std::pow(h("beta_2"), t))) + h("epsilon"));
  } else if (rule == "lion") {
    const double x = h("beta_1") * s[0] + (1 - h("beta_1")) * g;
    w -= rate * (x > 0 ? 1 : x < 0 ? -1 : 0);
    s[0] = h("beta_2") * s[0] + (1 - h("beta_2")) * g;
  } else {
    fail(__FILE__, __LINE__, text("no formula for rule ", rule));
  }
}

// What is done to gradient and weights before the rule.
struct Treatment {
  double scale, clip, shrink, l2;
};
constexpr Treatment treated{0.5, 0.4, 0.999, 0.125};
constexpr Treatment plain{1, std::numeric_limits<double>::infinity(), 1, 0};
constexpr Treatment idle{1, 1e30, 1, 0};  // a bound that nothing reaches
constexpr double rate = 0.01;

// Weights and slots of one rule, with one element after their end that must not change.
template <class T>
struct State {
  Hyper hyper;
  std::vector<T> w;
  std::vector<std::vector<T>> slots;

  State(const OptimizerKernel<T>& rule, Hyper numbers, int n, Random& random) : hyper(numbers) {
    for (int i = 0; i <= n; ++i) w.push_back(static_cast<T>(random.uniform(-1, 1)));
    for (const char* const* name = rule.slots; *name; ++name) slots.emplace_back(static_cast<std::size_t>(n) + 1, T(0));
    CHECK(slots.size() <= max_slots);
  }

  void update(const OptimizerKernel<T>& rule, const std::vector<T>& g, std::ptrdiff_t first, std::ptrdiff_t n, double t,
              const Treatment& how = treated) {
    double numbers[max_scalars] = {}, scalars[max_scalars] = {};
    for (int i = 0; rule.hyper[i]; ++i) numbers[i] = hyper(rule.hyper[i]);
    rule.prepare(numbers, rate, t, scalars);
    Update<T> u{w.data() + first, g.data() + first, {}, n, scalars, how.scale, how.clip, how.shrink, how.l2};
    for (std::size_t k = 0; k < slots.size(); ++k) u.slots[k] = slots[k].data() + first;
    rule.update(u);
  }
};

// All rules with their options off and on: f(rule, hyper).
template <class T, class F>
void each_rule(const KernelTable<T>& table, F f) {
  for (int i = 0; i < table.optimizer_count; ++i)
    for (const double option : {0.0, 1.0}) {
      const Where where(table.optimizers[i].name, " options ", option);
      f(table.optimizers[i], Hyper{option});
    }
}

template <class T>
std::vector<T> uniform(int n, Random& random) {
  std::vector<T> all;
  for (int k = 0; k < n; ++k) all.push_back(static_cast<T>(random.uniform(-1, 1)));
  return all;
}

TEST(update_rules_match_their_formulas) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(31);
    const int lanes = table.panel_width / 2;
    each_rule(table, [&](const OptimizerKernel<T>& rule, Hyper hyper) {
      for (const Treatment& how : {treated, plain})
        for (const int n : {1, 2, lanes - 1, lanes, lanes + 1, 2 * lanes, 3 * lanes + 1, 1000}) {
          const Where where("n ", n, " scale ", how.scale);
          State<T> state(rule, hyper, n, random);
          const T beyond = state.w.back();
          std::vector<double> w(state.w.begin(), state.w.end());
          std::vector<std::array<double, max_slots>> s(static_cast<std::size_t>(n));
          for (int t = 1; t <= 5; ++t) {
            const std::vector<T> g = uniform<T>(n, random);
            state.update(rule, g, 0, n, t, how);
            for (std::size_t k = 0; k < static_cast<std::size_t>(n); ++k) {
              const double taken = how.scale * std::clamp<double>(g[k], -how.clip, how.clip) + how.l2 * w[k];
              w[k] *= how.shrink;
              formula(rule.name, hyper, rate, t, taken, w[k], s[k].data());
              CHECK_NEAR(state.w[k], w[k], 64 * epsilon<T>);
              for (std::size_t slot = 0; slot < state.slots.size(); ++slot)
                CHECK_NEAR(state.slots[slot][k], s[k][slot], 64 * epsilon<T>);
            }
          }
          CHECK_EQUAL(state.w.back(), beyond);
          for (const auto& slot : state.slots) CHECK_EQUAL(slot.back(), T(0));
        }
    });
  });
}

TEST(updates_do_not_depend_on_the_cut) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(32);
    const int n = 3 * table.panel_width + 5;
    const std::vector<T> g = uniform<T>(n, random);
    each_rule(table, [&](const OptimizerKernel<T>& rule, Hyper hyper) {
      State<T> whole(rule, hyper, n, random), single = whole;
      for (int t = 1; t <= 3; ++t) {
        whole.update(rule, g, 0, n, t);
        for (int k = 0; k < n; ++k) single.update(rule, g, k, 1, t);
      }
      CHECK(std::memcmp(whole.w.data(), single.w.data(), whole.w.size() * sizeof(T)) == 0);
      CHECK(whole.slots == single.slots);
    });
  });
}

// Where neither clipping nor decay does anything, the shorter loop gives the same bits.
TEST(plain_updates_give_the_same_bits) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(36);
    const int n = 2 * table.panel_width + 3;
    each_rule(table, [&](const OptimizerKernel<T>& rule, Hyper hyper) {
      State<T> quick(rule, hyper, n, random);
      quick.w[1] = T(-0.0);
      quick.w[2] = std::numeric_limits<T>::infinity();
      State<T> full = quick;
      for (int t = 1; t <= 3; ++t) {
        std::vector<T> g = uniform<T>(n, random);
        g[0] = g[1] = T(-0.0);
        quick.update(rule, g, 0, n, t, plain);
        full.update(rule, g, 0, n, t, idle);
      }
      CHECK(std::memcmp(quick.w.data(), full.w.data(), full.w.size() * sizeof(T)) == 0);
      for (std::size_t k = 0; k < full.slots.size(); ++k)
        CHECK(std::memcmp(quick.slots[k].data(), full.slots[k].data(), full.w.size() * sizeof(T)) == 0);
    });
  });
}

TEST(gradients_of_nan_and_infinity) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(33);
    const std::vector<T> g{nan<T>, std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity()};
    each_rule(table, [&](const OptimizerKernel<T>& rule, Hyper hyper) {
      State<T> state(rule, hyper, 3, random);
      state.update(rule, g, 0, 3, 1);
      CHECK(std::isnan(state.w[0]));                                  // clipping must not hide it
      CHECK(std::isfinite(state.w[1]) && std::isfinite(state.w[2]));  // clipped
    });
  });
}

// Scalars are a function of the step, however a thread came to it.
TEST(scalars_do_not_depend_on_the_steps_before) {
  each_table([]<class T>(const KernelTable<T>& table) {
    each_rule(table, [&](const OptimizerKernel<T>& rule, Hyper hyper) {
      double numbers[max_scalars] = {}, other[max_scalars] = {};
      for (int i = 0; rule.hyper[i]; ++i) numbers[i] = hyper(rule.hyper[i]), other[i] = numbers[i] / 2;
      using Scalars = std::array<double, max_scalars>;
      const auto prepared = [&](const double* h, double t) {
        Scalars c{};
        rule.prepare(h, 0.01, t, c.data());
        return c;
      };
      std::map<int, Scalars> straight;
      for (int t = 1; t <= 2000; ++t) straight[t] = prepared(numbers, t);
      for (const int t : {1999, 3, 3, 400, 399, 2000, 1}) {
        CHECK(prepared(numbers, t) == straight[t]);
        prepared(other, t + 1);
        CHECK(prepared(numbers, t) == straight[t]);
      }
    });
  });
}

TEST(averages_move_towards_the_weights) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(37);
    for (const int n : {1, table.panel_width - 1, 3 * table.panel_width + 1}) {
      std::vector<T> a = uniform<T>(n + 1, random), before = a;
      const std::vector<T> w = uniform<T>(n, random);
      table.average(a.data(), w.data(), n, 0.25);
      for (std::size_t k = 0; k < w.size(); ++k) CHECK_NEAR(a[k], 0.75 * before[k] + 0.25 * w[k], 2 * epsilon<T>);
      CHECK_EQUAL(a.back(), before.back());
      table.average(a.data(), w.data(), n, 1);
      for (std::size_t k = 0; k < w.size(); ++k) CHECK_NEAR(a[k], w[k], epsilon<T>);
    }
  });
}

TEST(penalties_and_their_gradients) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(34);
    for (const int n : {table.panel_width, 2 * table.panel_width, 64 * table.panel_width})
      for (const auto& [l1, l2, slope] :
           {std::array{0.0, 0.0, 0.0}, {0.1, 0.0, 0.1}, {0.0, 0.2, 0.0}, {0.3, 0.4, 0.3}, {0.3, 0.4, 0.0}}) {
        const Where where("n ", n, " l1 ", l1, " l2 ", l2, " slope ", slope);
        std::vector<T> w, g;
        for (int k = 0; k < n; ++k) {
          w.push_back(k % 5 == 0 ? T(k % 2 ? 0.0 : -0.0) : static_cast<T>(random.uniform(-1, 1)));
          g.push_back(static_cast<T>(random.uniform(-1, 1)));
        }
        const std::vector<T> before = g;
        const double total = table.penalize(g.data(), w.data(), n, l1, l2, slope);
        double expected = 0;
        for (std::size_t k = 0; k < w.size(); ++k) {
          const double x = w[k], sign = x > 0 ? 1 : x < 0 ? -1 : 0;
          expected += l1 * std::abs(x) + l2 / 2 * x * x;
          CHECK_NEAR(g[k], before[k] + l2 * x + slope * sign, 4 * epsilon<T>);
        }
        CHECK_NEAR(total, expected, 16 * epsilon<T> * expected);
      }
  });
}

TEST(sums_of_squares) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(35);
    for (const int n : {1, 7, 8, 9, 100, 4099}) {
      std::vector<T> g;
      long double expected = 0, clipped = 0;
      for (int k = 0; k < n; ++k) {
        g.push_back(static_cast<T>(random.uniform(-1e5, 1e5)));
        const long double x = g.back(), cut = std::clamp(x, -3e4L, 3e4L);
        expected += x * x;
        clipped += cut * cut;
      }
      const double unlimited = std::numeric_limits<double>::infinity();
      CHECK_NEAR(table.sum_of_squares(g.data(), n, unlimited).value, expected, 1e-13 * static_cast<double>(expected));
      CHECK_NEAR(table.sum_of_squares(g.data(), n, 3e4).value, clipped, 1e-13 * static_cast<double>(clipped));
    }
    // Whose squares the type cannot hold, and among which smaller ones count for nothing.
    for (const double size : {1e20, 1e-20, sizeof(T) == 8 ? 1e200 : 1e38, sizeof(T) == 8 ? 1e-200 : 1e-37})
      for (const int n : {1, 3, 4099}) {
        const Where where("size ", size, " n ", n);
        std::vector<T> g(static_cast<std::size_t>(n), static_cast<T>(size));
        g.push_back(static_cast<T>(size * 1e-30));
        for (const double clip : {std::numeric_limits<double>::infinity(), size / 2}) {
          const Scaled square = table.sum_of_squares(g.data(), n + 1, clip);
          CHECK(square.exponent % 2 == 0);
          const double norm = std::ldexp(std::sqrt(square.value), square.exponent / 2);
          CHECK_NEAR(norm / std::min(size, clip), std::sqrt(n), 1e-6 * std::sqrt(n));
        }
      }
    const std::vector<T> zeros(20), none(1, nan<T>), infinite(9, std::numeric_limits<T>::infinity());
    CHECK_EQUAL(table.sum_of_squares(zeros.data(), 20, 1.0).value, 0);
    CHECK(std::isnan(table.sum_of_squares(none.data(), 1, 1e300).value));
    CHECK(std::isinf(table.sum_of_squares(infinite.data(), 9, std::numeric_limits<double>::infinity()).value));
  });
}

}  // namespace
}  // namespace fallline::testing
