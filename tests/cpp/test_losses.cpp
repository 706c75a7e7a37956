// Losses of all targets against their formulas in long double, and their gradients against finite differences.
#include <algorithm>
#include <map>

#include "activation_formulas.h"
#include "kernel_cases.h"

namespace fallline::testing {
namespace {

using Row = std::vector<long double>;

// The numbers of a loss, by name; label_smoothing is 0 in one of two variants.
using Numbers = std::map<std::string, double>;

template <class T>
Numbers numbers_of(const LossKernel<T>& kernel, int variant) {
  const Numbers known{{"label_smoothing", variant * 0.1},
                      {"delta", 0.75},
                      {"q", 0.8},
                      {"gamma", 1.5 - variant},
                      {"alpha", 0.25},
                      {"weight_0", 0.75},
                      {"weight_1", 0.25}};
  Numbers numbers;
  for (const char* const* name = kernel.hyper; *name; ++name) numbers[*name] = known.at(*name);
  return numbers;
}

Row prediction(const char* activation, const Row& z) {
  Row p = z;
  if (!activation) return p;
  const std::string name = activation;
  const long double most = name == "softmax" ? *std::max_element(z.begin(), z.end()) : 0;
  long double sum = 0;
  for (long double& each : p) sum += each = std::exp(each - most);
  if (name == "softmax")
    for (long double& each : p) each /= sum;
  if (name == "sigmoid")
    for (std::size_t c = 0; c < p.size(); ++c) p[c] = 1 / (1 + std::exp(-z[c]));
  return p;
}

// Of one output and its target.
using Elementwise = long double (*)(long double y, long double t, const Numbers& h);

const std::map<std::string, Elementwise> elementwise{
    {"mse", [](long double y, long double t, const Numbers&) { return (y - t) * (y - t); }},
    {"mae", [](long double y, long double t, const Numbers&) { return std::abs(y - t); }},
    {"huber",
     [](long double y, long double t, const Numbers& h) {
       const long double e = std::abs(y - t), delta = h.at("delta");
       return e <= delta ? e * e / 2 : delta * e - delta * delta / 2;
     }},
    {"log_cosh", [](long double y, long double t, const Numbers&) { return std::log(std::cosh(y - t)); }},
    {"quantile", [](long double y, long double t,
                    const Numbers& h) { return std::max(h.at("q") * (t - y), (h.at("q") - 1) * (t - y)); }},
    {"poisson", [](long double z, long double t, const Numbers&) { return std::exp(z) - t * z; }},
    {"hinge", [](long double y, long double t, const Numbers&) { return std::max(0.0L, 1 - (t == 0 ? -1 : t) * y); }},
    {"binary_cross_entropy",
     [](long double z, long double t, const Numbers& h) {
       return softplus(z) - (t * (1 - h.at("label_smoothing")) + h.at("label_smoothing") / 2) * z;
     }},
    {"binary_focal_cross_entropy",
     [](long double z, long double t, const Numbers& h) {
       const long double b = softplus(z) - t * z;
       return (t * h.at("weight_1") + (1 - t) * h.at("weight_0")) * b * std::pow(-std::expm1(-b), h.at("gamma"));
     }},
};

// -sum t ln(softmax(z)), and the entropy of t.
struct Entropies {
  long double cross = 0, own = 0;

  Entropies(const Row& z, const Row& t, double smoothing) {
    const long double most = *std::max_element(z.begin(), z.end());
    long double sum = 0;
    for (const long double each : z) sum += std::exp(each - most);
    for (std::size_t c = 0; c < z.size(); ++c) {
      cross -= (t[c] * (1 - smoothing) + smoothing / static_cast<double>(z.size())) * (z[c] - most - std::log(sum));
      if (t[c] > 0) own -= t[c] * std::log(t[c]);
    }
  }
};

// Of one row, from what the last layer put out.
long double formula(const std::string& loss, const Row& z, const Row& t, const Numbers& h) {
  if (const auto each = elementwise.find(loss); each != elementwise.end()) {
    long double sum = 0;
    for (std::size_t c = 0; c < z.size(); ++c) sum += each->second(z[c], t[c], h);
    return sum / static_cast<long double>(z.size());
  }
  const Entropies e(z, t, loss == "cross_entropy" ? h.at("label_smoothing") : 0);
  if (loss == "cross_entropy") return e.cross;
  if (loss == "kl_divergence") return e.cross - e.own;
  if (loss == "focal_cross_entropy") return h.at("alpha") * e.cross * std::pow(-std::expm1(-e.cross), h.at("gamma"));
  fail(__FILE__, __LINE__, text("no formula for loss ", loss));
  return 0;
}

template <class T>
Row row_of(const Matrix<T>& m, int r) {
  Row row;
  for (int c = 0; c < m.columns(); ++c) row.push_back(m(r, c));
  return row;
}

constexpr int rows = 8, begin = 1, end = 7;

// One call of a loss kernel on rows [begin, end), and everything it is given.
template <class T>
struct LossCase {
  Matrix<T> z, target, y, dy;
  std::vector<std::int32_t> labels;
  std::vector<T> weight;
  std::vector<double> loss, hyper;

  LossCase(const KernelTable<T>& table, Random& random, int columns, double size, bool classes)
      : z(rows, columns, table.panel_width),
        target(rows, columns, table.panel_width),
        y(z),
        dy(rows, columns, table.panel_width, T(-7)),
        loss(static_cast<std::size_t>(rows), -7) {
    z.randomize(random, -size, size);
    target.randomize(random, 0, 1);
    y = z;
    for (int r = 0; r < rows; ++r) {
      weight.push_back(static_cast<T>(random.uniform(0.5, 2)));
      if (classes) labels.push_back(random.below(columns));
    }
    if (classes)
      each_element(rows, columns,
                   [&](int r, int c) { target(r, c) = labels[static_cast<std::size_t>(r)] == c ? T(1) : T(0); });
  }

  void run(const LossKernel<T>& kernel, bool weighted, T scale, bool with_gradient, int variant = 0, int first = begin,
           int last = end) {
    const Numbers numbers = numbers_of(kernel, variant);
    hyper.clear();
    for (const char* const* name = kernel.hyper; *name; ++name) hyper.push_back(numbers.at(*name));
    kernel.rows({y, with_gradient ? Panels<T>(dy) : Panels<T>{}, target, labels.empty() ? nullptr : labels.data(),
                 weighted ? weight.data() : nullptr, scale, z.columns(), loss.data(), hyper.data()},
                first, last);
  }
};

template <class T>
void check_loss(const LossKernel<T>& kernel, LossCase<T>& at, bool weighted, double scale, double size, int variant) {
  at.run(kernel, weighted, static_cast<T>(scale), true, variant);
  const Numbers h = numbers_of(kernel, variant);
  const int columns = at.z.columns();
  for (int r = 0; r < rows; ++r) {
    const auto i = static_cast<std::size_t>(r);
    if (r < begin || r >= end) {
      CHECK_EQUAL(at.loss[i], -7);
      for (int c = 0; c < columns; ++c) CHECK(at.y(r, c) == at.z(r, c) && at.dy(r, c) == T(-7));
      continue;
    }
    const Row z = row_of(at.z, r), t = row_of(at.target, r), p = prediction(kernel.fused_activation, z);
    const long double weight = weighted ? at.weight[i] : 1, value = formula(kernel.name, z, t, h);
    CHECK_NEAR(at.loss[i], weight * value, 16 * epsilon<T> * (std::abs(static_cast<double>(value)) + size * columns));
    for (int c = 0; c < columns; ++c) {
      const auto j = static_cast<std::size_t>(c);
      CHECK_NEAR(at.y(r, c), p[j], 8 * epsilon<T> * std::max(1.0, std::abs(static_cast<double>(p[j]))));
      Row up = z, down = z;
      const long double step = 1e-5L;
      up[j] += step;
      down[j] -= step;
      const long double right = formula(kernel.name, up, t, h) - value, left = value - formula(kernel.name, down, t, h);
      const long double slope = (right + left) / (2 * step), most = std::max(1.0L, std::abs(slope));
      if (std::abs(right - left) > 1e-3 * most * step) continue;  // a corner
      CHECK_NEAR(at.dy(r, c), weight * scale * slope,
                 (32 * epsilon<T> * scale * (1 + columns) * std::max(1.0, size) + 1e-9) * static_cast<double>(most));
    }
  }
}

TEST(losses_and_their_gradients) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(21);
    for (int i = 0; i < table.loss_count; ++i)
      for (const int columns : column_counts(table.panel_width))
        for (const double size : {1.0, 8.0})
          for (const int variant : {0, 1})
            for (const bool classes : {false, true}) {
              const LossKernel<T>& kernel = table.losses[i];
              if (classes && !kernel.takes_labels) continue;
              const bool weighted = (columns + variant) % 2 == 0;
              const Where where(kernel.name, " columns ", columns, " up to ", size, weighted ? " weighted" : "",
                                classes ? " labels" : "", " variant ", variant);
              LossCase<T> dense(table, random, columns, size, classes);
              check_loss(kernel, dense, weighted, 0.125, size, variant);
            }
  });
}

TEST(losses_without_gradient_and_by_row) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(22);
    for (int i = 0; i < 2 * table.loss_count; ++i)
      for (const bool classes : {false, true}) {
        const LossKernel<T>& kernel = table.losses[i / 2];
        const int variant = i % 2;
        if (classes && !kernel.takes_labels) continue;
        const Where where(kernel.name, classes ? " labels" : "", " variant ", variant);
        LossCase<T> with(table, random, 2 * table.panel_width + 3, 3, classes), without = with, single = with;
        with.run(kernel, true, T(1), true, variant);
        without.run(kernel, true, T(1), false, variant);
        for (int r = begin; r < end; ++r) single.run(kernel, true, T(1), true, variant, r, r + 1);
        CHECK(with.loss == without.loss);
        CHECK(with.loss == single.loss);
        each_element(rows, with.z.columns(), [&](int r, int c) {
          CHECK_EQUAL(without.y(r, c), with.y(r, c));
          CHECK_EQUAL(without.dy(r, c), T(-7));
          CHECK_EQUAL(single.dy(r, c), with.dy(r, c));
        });
      }
  });
}

TEST(losses_stay_finite_for_large_logits) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(23);
    for (int i = 0; i < table.loss_count; ++i) {
      const LossKernel<T>& kernel = table.losses[i];
      if (!kernel.fused_activation || kernel.fused_activation == std::string("exponential")) continue;
      const Where where(kernel.name);
      LossCase<T> at(table, random, 3, 1, kernel.takes_labels);
      each_element(rows, 3,
                   [&](int r, int c) { at.y(r, c) = at.z(r, c) = static_cast<T>((r + c) % 3 == 0 ? 1000 : -1000); });
      at.run(kernel, false, T(1), true);
      for (int r = begin; r < end; ++r) {
        const Row z = row_of(at.z, r), t = row_of(at.target, r), p = prediction(kernel.fused_activation, z);
        const auto expected = static_cast<double>(formula(kernel.name, z, t, numbers_of(kernel, 0)));
        CHECK_NEAR(at.loss[static_cast<std::size_t>(r)], expected, 8 * epsilon<T> * 1000);
        for (int c = 0; c < 3; ++c) {
          CHECK_NEAR(at.y(r, c), p[static_cast<std::size_t>(c)], epsilon<T>);
          CHECK(std::isfinite(at.dy(r, c)));
        }
      }
    }
  });
}

TEST(losses_of_nan_are_nan) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(24);
    for (int i = 0; i < table.loss_count; ++i)
      for (const int column : {0, 5}) {
        const Where where(table.losses[i].name, " column ", column);
        LossCase<T> at(table, random, 7, 1, table.losses[i].takes_labels);
        at.y(3, column) = nan<T>;
        at.run(table.losses[i], false, T(1), true);
        for (int r = begin; r < end; ++r) CHECK_EQUAL(std::isnan(at.loss[static_cast<std::size_t>(r)]), r == 3);
      }
  });
}

}  // namespace
}  // namespace fallline::testing
