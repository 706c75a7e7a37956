// Update rules, penalties and norms of all targets against their formulas in double.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "kernel_cases.h"

namespace fallline::testing {
namespace {

const std::map<std::string, double> hyper{{"momentum", 0.9}, {"dampening", 0.25}, {"rho", 0.9},
                                          {"beta_1", 0.9},   {"beta_2", 0.999},   {"epsilon", 1e-3}};

// One weight by the rule's formula, with slots in the order of the table.
void formula(const std::string& rule, double rate, double t, double g, double& w, double* s) {
  const auto h = [](const char* name) { return hyper.at(name); };
  if (rule == "sgd") {
    w -= rate * g;
  } else if (rule == "momentum") {
    s[0] = h("momentum") * s[0] + (t > 1 ? 1 - h("dampening") : 1) * g;
    w -= rate * s[0];
  } else if (rule == "nesterov") {
    s[0] = h("momentum") * s[0] + g;
    w -= rate * (g + h("momentum") * s[0]);
  } else if (rule == "rmsprop") {
    s[0] = h("rho") * s[0] + (1 - h("rho")) * g * g;
    w -= rate * g / (std::sqrt(s[0]) + h("epsilon"));
  } else if (rule == "adam") {
    s[0] = h("beta_1") * s[0] + (1 - h("beta_1")) * g;
    s[1] = h("beta_2") * s[1] + (1 - h("beta_2")) * g * g;
    const double m = s[0] / (1 - std::pow(h("beta_1"), t)), v = s[1] / (1 - std::pow(h("beta_2"), t));
    w -= rate * m / (std::sqrt(v) + h("epsilon"));
  } else {
    fail(__FILE__, __LINE__, text("no formula for rule ", rule));
  }
}

// Weights and slots of one rule, with one element after their end that must not change.
template <class T>
struct State {
  std::vector<T> w;
  std::vector<std::vector<T>> slots;

  State(const OptimizerKernel<T>& rule, int n, Random& random) {
    for (int i = 0; i <= n; ++i) w.push_back(static_cast<T>(random.uniform(-1, 1)));
    for (const char* const* name = rule.slots; *name; ++name) slots.emplace_back(static_cast<std::size_t>(n) + 1, T(0));
    CHECK(slots.size() <= max_slots);
  }

  void update(const OptimizerKernel<T>& rule, const std::vector<T>& g, std::ptrdiff_t first, std::ptrdiff_t n,
              double t) {
    double numbers[max_scalars] = {}, scalars[max_scalars] = {};
    for (int i = 0; rule.hyper[i]; ++i) numbers[i] = hyper.at(rule.hyper[i]);
    rule.prepare(numbers, rate, t, scalars);
    Update<T> u{w.data() + first, g.data() + first, {}, n, scalars, scale, clip, shrink};
    for (std::size_t k = 0; k < slots.size(); ++k) u.slots[k] = slots[k].data() + first;
    rule.update(u);
  }

  static constexpr double rate = 0.01, scale = 0.5, clip = 0.4, shrink = 0.999;
};

TEST(update_rules_match_their_formulas) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(31);
    const int lanes = table.panel_width / 2;
    for (int i = 0; i < table.optimizer_count; ++i)
      for (const int n : {1, 2, lanes - 1, lanes, lanes + 1, 2 * lanes, 3 * lanes + 1, 1000}) {
        const OptimizerKernel<T>& rule = table.optimizers[i];
        const Where where(rule.name, " n ", n);
        State<T> state(rule, n, random);
        const T beyond = state.w.back();
        std::vector<double> w(state.w.begin(), state.w.end());
        std::vector<std::array<double, max_slots>> s(static_cast<std::size_t>(n));
        for (int t = 1; t <= 5; ++t) {
          std::vector<T> g;
          for (int k = 0; k < n; ++k) g.push_back(static_cast<T>(random.uniform(-1, 1)));
          state.update(rule, g, 0, n, t);
          for (std::size_t k = 0; k < static_cast<std::size_t>(n); ++k) {
            using S = State<T>;
            const double taken = S::scale * std::clamp<double>(g[k], -S::clip, S::clip);
            w[k] *= S::shrink;
            formula(rule.name, S::rate, t, taken, w[k], s[k].data());
            CHECK_NEAR(state.w[k], w[k], 64 * epsilon<T>);
            for (std::size_t slot = 0; slot < state.slots.size(); ++slot)
              CHECK_NEAR(state.slots[slot][k], s[k][slot], 64 * epsilon<T>);
          }
        }
        CHECK_EQUAL(state.w.back(), beyond);
        for (const auto& slot : state.slots) CHECK_EQUAL(slot.back(), T(0));
      }
  });
}

TEST(updates_do_not_depend_on_the_cut) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(32);
    const int n = 3 * table.panel_width + 5;
    std::vector<T> g;
    for (int k = 0; k < n; ++k) g.push_back(static_cast<T>(random.uniform(-1, 1)));
    for (int i = 0; i < table.optimizer_count; ++i) {
      const OptimizerKernel<T>& rule = table.optimizers[i];
      const Where where(rule.name);
      State<T> whole(rule, n, random), single = whole;
      for (int t = 1; t <= 3; ++t) {
        whole.update(rule, g, 0, n, t);
        for (int k = 0; k < n; ++k) single.update(rule, g, k, 1, t);
      }
      CHECK(std::memcmp(whole.w.data(), single.w.data(), whole.w.size() * sizeof(T)) == 0);
      CHECK(whole.slots == single.slots);
    }
  });
}

TEST(gradients_of_nan_and_infinity) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(33);
    const std::vector<T> g{nan<T>, std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity()};
    for (int i = 0; i < table.optimizer_count; ++i) {
      const OptimizerKernel<T>& rule = table.optimizers[i];
      const Where where(rule.name);
      State<T> state(rule, 3, random);
      state.update(rule, g, 0, 3, 1);
      CHECK(std::isnan(state.w[0]));                                  // clipping must not hide it
      CHECK(std::isfinite(state.w[1]) && std::isfinite(state.w[2]));  // clipped
    }
  });
}

TEST(penalties_and_their_gradients) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(34);
    for (const int n : {table.panel_width, 2 * table.panel_width, 64 * table.panel_width})
      for (const auto& [l1, l2] : {std::pair{0.0, 0.0}, {0.1, 0.0}, {0.0, 0.2}, {0.3, 0.4}}) {
        const Where where("n ", n, " l1 ", l1, " l2 ", l2);
        std::vector<T> w, g;
        for (int k = 0; k < n; ++k) {
          w.push_back(k % 5 == 0 ? T(k % 2 ? 0.0 : -0.0) : static_cast<T>(random.uniform(-1, 1)));
          g.push_back(static_cast<T>(random.uniform(-1, 1)));
        }
        const std::vector<T> before = g;
        const double total = table.penalize(g.data(), w.data(), n, l1, l2);
        double expected = 0;
        for (std::size_t k = 0; k < w.size(); ++k) {
          const double x = w[k], sign = x > 0 ? 1 : x < 0 ? -1 : 0;
          expected += l1 * std::abs(x) + l2 / 2 * x * x;
          CHECK_NEAR(g[k], before[k] + l2 * x + l1 * sign, 4 * epsilon<T>);
        }
        CHECK_NEAR(total, expected, 8 * epsilon<T> * expected);
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
      CHECK_NEAR(table.sum_of_squares(g.data(), n, unlimited), expected, 1e-13 * static_cast<double>(expected));
      CHECK_NEAR(table.sum_of_squares(g.data(), n, 3e4), clipped, 1e-13 * static_cast<double>(clipped));
    }
    const std::vector<T> huge(3, static_cast<T>(1e20));  // whose squares a float cannot hold
    CHECK_NEAR(table.sum_of_squares(huge.data(), 3, std::numeric_limits<double>::infinity()), 3e40, 1e34);
  });
}

}  // namespace
}  // namespace fallline::testing
