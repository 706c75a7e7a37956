// Learned pieces, normalisation, thresholds and bounds on norms, on all targets, against plain formulas. Columns beyond
// the last hold NaN on their way in.
#include <algorithm>

#include "kernel_cases.h"

namespace fallline::testing {
namespace {

// One number for each column, NaN in those beyond the last.
template <class T>
std::vector<T> vector_of(Random& random, int columns, int padded, double low = -2, double high = 2) {
  std::vector<T> v(static_cast<std::size_t>(padded), nan<T>);
  for (int c = 0; c < columns; ++c) v[static_cast<std::size_t>(c)] = static_cast<T>(random.uniform(low, high));
  return v;
}

template <class T>
T at(const std::vector<T>& v, int i) {
  return v[static_cast<std::size_t>(i)];
}

// Numbers of which every third is 0, and some are equal.
template <class T>
Matrix<T> with_zeros(Random& random, int rows, int columns, int width) {
  Matrix<T> x(rows, columns, width, nan<T>);
  each_element(rows, columns, [&](int r, int c) { x(r, c) = static_cast<T>(random.below(7) - 3) / 2; });
  each_element(rows, columns, [&](int r, int c) { x(r, c) = random.below(3) == 0 ? T(0) : x(r, c); });
  return x;
}

constexpr int rows = 7, first = 1, last = 6;  // rows outside [first, last) stay as they are
bool outside(int r) { return r < first || r >= last; }

TEST(sum_of_two_matrices) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(31);
    for (const int columns : column_counts(width)) {
      const Matrix<T> x = Matrix<T>(rows, columns, width, nan<T>).randomize(random);
      const Matrix<T> z = Matrix<T>(rows, columns, width, nan<T>).randomize(random);
      Matrix<T> y(rows, columns, width, T(-7));
      table.add(x, z, y, columns, first, last);
      each_element(rows, columns, [&](int r, int c) { CHECK_EQUAL(y(r, c), outside(r) ? T(-7) : x(r, c) + z(r, c)); });
    }
  });
}

TEST(prelu_and_its_gradients) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(32);
    for (const int columns : column_counts(width)) {
      const Where where("columns ", columns);
      const Matrix<T> x = with_zeros<T>(random, rows, columns, width);
      const Matrix<T> dy = Matrix<T>(rows, columns, width).randomize(random);
      Matrix<T> y(rows, columns, width, T(-7)), dx = y;
      const std::vector<T> slope = vector_of<T>(random, columns, x.padded());
      table.prelu(x, slope.data(), y, columns, first, last);
      table.prelu_gradient(x, slope.data(), dy, dx, columns, first, last);
      each_element(rows, columns, [&](int r, int c) {
        const T z = x(r, c), a = at(slope, c);
        CHECK_EQUAL(y(r, c), outside(r) ? T(-7) : z < 0 ? a * z : z);
        CHECK_EQUAL(dx(r, c), outside(r) ? T(-7) : z > 0 ? dy(r, c) : a * dy(r, c));
      });
      for (int panel = 0; panel * width < columns; ++panel) {
        std::vector<T> sums(static_cast<std::size_t>(width), nan<T>);
        const Panels<const T> in = x, delta = dy;
        table.prelu_slope_gradient(in.data + panel * in.stride, delta.data + panel * delta.stride, rows, sums.data());
        for (int c = panel * width; c < std::min(columns, (panel + 1) * width); ++c) {
          double sum = 0;
          for (int r = 0; r < rows; ++r)
            if (x(r, c) < 0) sum += static_cast<double>(dy(r, c)) * static_cast<double>(x(r, c));
          CHECK_NEAR(at(sums, c % width), sum, 64 * epsilon<T>);
        }
      }
    }
  });
}

TEST(nan_goes_through_learned_pieces) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Matrix<T> x(1, 4, table.panel_width), y(1, 4, table.panel_width), z(1, 2, table.panel_width);
    x(0, 1) = nan<T>;
    const std::vector<T> slope(static_cast<std::size_t>(table.panel_width), T(0.5));
    table.prelu(x, slope.data(), y, 4, 0, 1);
    table.largest_piece(x, z, 2, 2, 0, 1);
    for (int c = 0; c < 4; ++c) CHECK_EQUAL(std::isnan(y(0, c)), c == 1);
    CHECK(!std::isnan(z(0, 0)) && std::isnan(z(0, 1)));
    x(0, 3) = nan<T>;
    x(0, 1) = T(1);
    table.largest_piece(x, z, 2, 2, 0, 1);
    CHECK(!std::isnan(z(0, 0)) && std::isnan(z(0, 1)));
  });
}

TEST(largest_piece_and_its_gradient) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(33);
    for (const int units : column_counts(width))
      for (const int pieces : {1, 2, 3, 5}) {
        const Where where("units ", units, " pieces ", pieces);
        const Matrix<T> x = with_zeros<T>(random, rows, units * pieces, width);
        const Matrix<T> dy = Matrix<T>(rows, units, width, nan<T>).randomize(random);
        Matrix<T> y(rows, units, width, T(-7)), left = y, dx(rows, units * pieces, width, T(-7));
        table.largest_piece(x, y, units, pieces, first, last);
        table.largest_piece_gradient(x, y, dy, left, dx, units, pieces, first, last);
        each_element(rows, units, [&](int r, int c) {
          int winner = 0;  // the first of the largest
          for (int j = 1; j < pieces; ++j)
            if (x(r, j * units + c) > x(r, winner * units + c)) winner = j;
          CHECK_EQUAL(y(r, c), outside(r) ? T(-7) : x(r, winner * units + c));
          for (int j = 0; j < pieces; ++j)
            CHECK_EQUAL(dx(r, j * units + c), outside(r) ? T(-7) : j == winner ? dy(r, c) : T(0));
        });
      }
  });
}

TEST(products_and_combinations_of_columns) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(34);
    const Matrix<T> x = Matrix<T>(rows, width, width).randomize(random);
    const Matrix<T> z = Matrix<T>(rows, width, width).randomize(random);
    const Panels<const T> left = x, right = z;
    const std::vector<T> s = vector_of<T>(random, width, width), t = vector_of<T>(random, width, width),
                         d = vector_of<T>(random, width, width);
    for (const int n : {0, 1, rows})
      for (const int way : {0, 1, 2, 3}) {
        const Where where("rows ", n, " way ", way);
        std::vector<T> sums(static_cast<std::size_t>(width), nan<T>);
        const bool shifted = way & 1, both = way & 2;
        table.column_products(left.data, shifted ? s.data() : nullptr, right.data, both ? t.data() : nullptr, n,
                              sums.data());
        for (int c = 0; c < width; ++c) {
          double sum = 0;
          for (int r = 0; r < n; ++r)
            sum += (static_cast<double>(x(r, c)) - (shifted ? static_cast<double>(at(s, c)) : 0)) *
                   (static_cast<double>(z(r, c)) - (both ? static_cast<double>(at(t, c)) : 0));
          CHECK_NEAR(at(sums, c), sum, 200 * epsilon<T>);
        }
      }
    Matrix<T> y(rows, width, width, T(-7));
    table.column_combine(left.data, s.data(), right.data, t.data(), d.data(), rows - 1, static_cast<Panels<T>>(y).data);
    each_element(rows, width, [&](int r, int c) {
      const double expected = static_cast<double>(x(r, c)) * static_cast<double>(at(s, c)) +
                              static_cast<double>(z(r, c)) * static_cast<double>(at(t, c)) +
                              static_cast<double>(at(d, c));
      CHECK_NEAR(y(r, c), r < rows - 1 ? expected : -7, 8 * epsilon<T>);
    });
  });
}

// Mean and 1 / sqrt(variance + e) of a row, in long double.
template <class T>
std::pair<long double, long double> moments_of(const Matrix<T>& x, int r, double e) {
  long double mean = 0, variance = 0;
  for (int c = 0; c < x.columns(); ++c) mean += static_cast<long double>(x(r, c)) / x.columns();
  for (int c = 0; c < x.columns(); ++c) {
    const long double d = static_cast<long double>(x(r, c)) - mean;
    variance += d * d / x.columns();
  }
  return {mean, 1 / std::sqrt(variance + static_cast<long double>(e))};
}

TEST(layer_norm_and_its_gradients) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(35);
    for (const int columns : column_counts(width))
      for (const double e : {1e-3, 0.5}) {
        const Where where("columns ", columns, " epsilon ", e);
        const Matrix<T> x = Matrix<T>(rows, columns, width, nan<T>).randomize(random, -1, 3);
        const Matrix<T> dy = Matrix<T>(rows, columns, width, nan<T>).randomize(random);
        const std::vector<T> gamma = vector_of<T>(random, columns, x.padded()),
                             beta = vector_of<T>(random, columns, x.padded());
        Matrix<T> y(rows, columns, width, T(-7)), again = y, dx = y;
        std::vector<T> moments(2 * rows, T(-7));
        table.layer_norm(x, gamma.data(), beta.data(), e, y, columns, moments.data(), first, last);
        table.layer_norm(x, gamma.data(), beta.data(), e, again, columns, nullptr, first, last);
        table.layer_norm_gradient(x, moments.data(), gamma.data(), dy, dx, columns, first, last);
        for (int r = 0; r < rows; ++r) {
          const auto [mean, root] = moments_of(x, r, e);
          if (!outside(r)) {
            CHECK_NEAR(at(moments, 2 * r), mean, 16 * epsilon<T>);
            CHECK_NEAR(at(moments, 2 * r + 1), root, 64 * epsilon<T> * static_cast<double>(root));
          }
          long double g_mean = 0, gn_mean = 0;
          const auto normal = [&](int c) { return (static_cast<long double>(x(r, c)) - mean) * root; };
          const auto g = [&](int c) {
            return static_cast<long double>(dy(r, c)) * static_cast<long double>(at(gamma, c));
          };
          for (int c = 0; c < columns; ++c) {
            g_mean += g(c) / columns;
            gn_mean += g(c) * normal(c) / columns;
          }
          const double tolerance = 200 * epsilon<T> * static_cast<double>(root);
          for (int c = 0; c < columns; ++c) {
            const long double value =
                normal(c) * static_cast<long double>(at(gamma, c)) + static_cast<long double>(at(beta, c));
            CHECK_NEAR(y(r, c), outside(r) ? -7 : value, tolerance);
            CHECK_EQUAL(again(r, c), y(r, c));
            CHECK_NEAR(dx(r, c), outside(r) ? -7 : root * (g(c) - g_mean - normal(c) * gn_mean), tolerance);
          }
          // What is written beyond the last column is 0.
          for (int c = columns; c < dx.padded(); ++c) CHECK(dx(r, c) == T(0) || dx(r, c) == T(-7));
        }
      }
  });
}

TEST(gradient_of_the_scale_of_layer_norm) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(36);
    const Matrix<T> x = Matrix<T>(rows, width, width).randomize(random, -1, 3);
    const Matrix<T> dy = Matrix<T>(rows, width, width).randomize(random);
    const std::vector<T> moments = vector_of<T>(random, 2 * rows, 2 * rows);
    std::vector<T> sums(static_cast<std::size_t>(width), nan<T>);
    table.layer_norm_scale_gradient(static_cast<Panels<const T>>(x).data, moments.data(),
                                    static_cast<Panels<const T>>(dy).data, rows, sums.data());
    for (int c = 0; c < width; ++c) {
      double sum = 0;
      for (int r = 0; r < rows; ++r)
        sum += static_cast<double>(dy(r, c)) *
               (static_cast<double>(x(r, c)) - static_cast<double>(at(moments, 2 * r))) *
               static_cast<double>(at(moments, 2 * r + 1));
      CHECK_NEAR(at(sums, c), sum, 400 * epsilon<T>);
    }
  });
}

TEST(soft_threshold_moves_towards_zero_and_stays) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(37);
    const int width = table.panel_width, n = 5 * width;
    std::vector<T> w = vector_of<T>(random, n, n), before;
    w[0] = T(0);
    w[1] = T(0.25);
    w[2] = T(-0.25);
    w[3] = nan<T>;
    before = w;
    table.soft_threshold(w.data(), n, 0.25);
    for (int i = 0; i < n; ++i) {
      const T x = at(before, i);
      const T shorter = std::max(std::abs(x) - T(0.25), T(0));
      if (i == 3)
        CHECK(std::isnan(at(w, i)));
      else
        CHECK_EQUAL(at(w, i), x < 0 ? -shorter : shorter);
    }
    table.soft_threshold(w.data(), n, 2.0);
    for (int i = 0; i < n; ++i)
      if (i != 3) CHECK_EQUAL(at(w, i), T(0));
  });
}

TEST(bound_norms_shortens_what_is_too_long) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(38);
    for (const int n : {1, 3, 200}) {
      Matrix<T> w = Matrix<T>(n, width, width).randomize(random), before = w;
      double limit = 0;  // that of the middle column
      for (int r = 0; r < n; ++r) limit += static_cast<double>(w(r, width / 2)) * static_cast<double>(w(r, width / 2));
      limit = std::sqrt(limit) * 0.999;
      table.bound_norms(static_cast<Panels<T>>(w).data, n, limit);
      int shortened = 0;
      for (int c = 0; c < width; ++c) {
        const Where where("rows ", n, " column ", c);
        double norm = 0;
        for (int r = 0; r < n; ++r) norm += static_cast<double>(before(r, c)) * static_cast<double>(before(r, c));
        norm = std::sqrt(norm);
        shortened += norm > limit;
        for (int r = 0; r < n; ++r)
          if (norm > limit)
            CHECK_NEAR(w(r, c), static_cast<double>(before(r, c)) * limit / norm, 32 * epsilon<T>);
          else
            CHECK_EQUAL(w(r, c), before(r, c));
      }
      CHECK(shortened > 0);
    }
    Matrix<T> zero(3, width, width);
    table.bound_norms(static_cast<Panels<T>>(zero).data, 3, 1e-3);
    each_element(3, width, [&](int r, int c) { CHECK_EQUAL(zero(r, c), T(0)); });
  });
}

}  // namespace
}  // namespace fallline::testing
