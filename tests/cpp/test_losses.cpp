// Losses of all targets against their formulas in long double, and their gradients against finite differences.
#include <algorithm>

#include "kernel_cases.h"

namespace fallline::testing {
namespace {

using Row = std::vector<long double>;

Row prediction(const std::string& loss, const Row& z) {
  Row p = z;
  if (loss == "binary_cross_entropy")
    for (long double& each : p) each = 1 / (1 + std::exp(-each));
  if (loss == "cross_entropy") {
    const long double most = *std::max_element(z.begin(), z.end());
    long double sum = 0;
    for (long double& each : p) sum += each = std::exp(each - most);
    for (long double& each : p) each /= sum;
  }
  return p;
}

// Of one row, from what the last layer put out.
long double formula(const std::string& loss, const Row& z, const Row& t) {
  const auto n = static_cast<long double>(z.size());
  long double sum = 0;
  if (loss == "mse") {
    for (std::size_t c = 0; c < z.size(); ++c) sum += (z[c] - t[c]) * (z[c] - t[c]);
    return sum / n;
  }
  if (loss == "binary_cross_entropy") {
    for (std::size_t c = 0; c < z.size(); ++c)
      sum += std::max(z[c], 0.0L) - z[c] * t[c] + std::log1p(std::exp(-std::abs(z[c])));
    return sum / n;
  }
  if (loss == "cross_entropy") {
    const long double most = *std::max_element(z.begin(), z.end());
    for (const long double each : z) sum += std::exp(each - most);
    const long double log_sum = std::log(sum);
    sum = 0;
    for (std::size_t c = 0; c < z.size(); ++c) sum -= t[c] * (z[c] - most - log_sum);
    return sum;
  }
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
  std::vector<double> loss;

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

  void run(const LossKernel<T>& kernel, bool weighted, T scale, bool with_gradient) {
    kernel.rows({y, with_gradient ? Panels<T>(dy) : Panels<T>{}, target, labels.empty() ? nullptr : labels.data(),
                 weighted ? weight.data() : nullptr, scale, z.columns(), loss.data()},
                begin, end);
  }
};

template <class T>
void check_loss(const LossKernel<T>& kernel, LossCase<T>& at, bool weighted, double scale, double size) {
  at.run(kernel, weighted, static_cast<T>(scale), true);
  const int columns = at.z.columns();
  for (int r = 0; r < rows; ++r) {
    const auto i = static_cast<std::size_t>(r);
    if (r < begin || r >= end) {
      CHECK_EQUAL(at.loss[i], -7);
      for (int c = 0; c < columns; ++c) CHECK(at.y(r, c) == at.z(r, c) && at.dy(r, c) == T(-7));
      continue;
    }
    const Row z = row_of(at.z, r), t = row_of(at.target, r), p = prediction(kernel.name, z);
    const long double weight = weighted ? at.weight[i] : 1, expected = weight * formula(kernel.name, z, t);
    CHECK_NEAR(at.loss[i], expected, 16 * epsilon<T> * (std::abs(static_cast<double>(expected)) + size * columns));
    for (int c = 0; c < columns; ++c) {
      CHECK_NEAR(at.y(r, c), p[static_cast<std::size_t>(c)], 8 * epsilon<T>);
      Row up = z, down = z;
      const long double step = 1e-5L;
      up[static_cast<std::size_t>(c)] += step;
      down[static_cast<std::size_t>(c)] -= step;
      const long double slope = (formula(kernel.name, up, t) - formula(kernel.name, down, t)) / (2 * step);
      CHECK_NEAR(at.dy(r, c), weight * scale * slope,
                 32 * epsilon<T> * scale * (1 + columns) * std::max(1.0, size) + 1e-9);
    }
  }
}

TEST(losses_and_their_gradients) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(21);
    for (int i = 0; i < table.loss_count; ++i)
      for (const int columns : column_counts(table.panel_width))
        for (const double size : {1.0, 8.0})
          for (const bool weighted : {false, true})
            for (const bool classes : {false, true}) {
              const LossKernel<T>& kernel = table.losses[i];
              if (classes && !kernel.takes_labels) continue;
              const Where where(kernel.name, " columns ", columns, " up to ", size, weighted ? " weighted" : "",
                                classes ? " labels" : "");
              LossCase<T> dense(table, random, columns, size, classes);
              check_loss(kernel, dense, weighted, 0.125, size);
            }
  });
}

TEST(losses_without_gradient_and_by_row) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(22);
    for (int i = 0; i < table.loss_count; ++i)
      for (const bool classes : {false, true}) {
        const LossKernel<T>& kernel = table.losses[i];
        if (classes && !kernel.takes_labels) continue;
        const Where where(kernel.name, classes ? " labels" : "");
        LossCase<T> with(table, random, 2 * table.panel_width + 3, 3, classes), without = with, single = with;
        with.run(kernel, true, T(1), true);
        without.run(kernel, true, T(1), false);
        for (int r = begin; r < end; ++r)
          kernel.rows({single.y, single.dy, single.target, classes ? single.labels.data() : nullptr,
                       single.weight.data(), T(1), single.z.columns(), single.loss.data()},
                      r, r + 1);
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
      if (!kernel.fused_activation) continue;
      const Where where(kernel.name);
      LossCase<T> at(table, random, 3, 1, kernel.takes_labels);
      each_element(rows, 3,
                   [&](int r, int c) { at.y(r, c) = at.z(r, c) = static_cast<T>((r + c) % 3 == 0 ? 1000 : -1000); });
      at.run(kernel, false, T(1), true);
      for (int r = begin; r < end; ++r) {
        const Row z = row_of(at.z, r), t = row_of(at.target, r), p = prediction(kernel.name, z);
        const auto expected = static_cast<double>(formula(kernel.name, z, t));
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
