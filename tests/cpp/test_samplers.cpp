// Squared norms of what single rows contribute to gradients, on all targets, and the tree that groups are drawn from.
#include <functional>

#include "kernel_cases.h"
#include "network/samplers/mass_tree.h"
#include "network/samplers/sampler.h"

namespace fallline::testing {
namespace {

// Adds to rows [begin, end) of `squares` by a kernel, and compares with the sum over columns of term(row, column).
template <class T>
void check_squares(int columns, const std::function<void(double*, int, int)>& add,
                   const std::function<double(int, int)>& term) {
  constexpr int rows = 21;
  for (const auto& [begin, end] : {std::pair{0, rows}, {3, 11}, {5, 6}, {4, 4}}) {
    const Where where("columns ", columns, " rows ", begin, " to ", end);
    std::vector<double> squares(rows, 0.5);
    add(squares.data(), begin, end);
    for (int r = 0; r < rows; ++r) {
      double expected = 0.5;
      for (int c = 0; c < columns && begin <= r && r < end; ++c) expected += term(r, c);
      CHECK_NEAR(squares[static_cast<std::size_t>(r)], expected, 8 * columns * epsilon<T> * (1 + expected));
    }
  }
}

double square(double x) { return x * x; }

TEST(squared_norms_of_rows) {
  each_table([]<class T>(const KernelTable<T>& table) {
    constexpr int rows = 21, units = 5;
    Random random(61);
    for (const int columns : column_counts(table.panel_width)) {
      // Beyond the last column anything may stand.
      Matrix<T> x(rows, columns, table.panel_width, nan<T>), d(rows, columns, table.panel_width, nan<T>);
      Matrix<T> few(rows, units, table.panel_width, nan<T>);
      x.randomize(random), d.randomize(random), few.randomize(random);
      std::vector<T> moments(2 * rows);
      for (T& m : moments) m = static_cast<T>(random.uniform(-1, 1));
      const auto sum = [](const Matrix<T>& m, int r, int n) {
        double total = 0;
        for (int c = 0; c < n; ++c) total += square(m(r, c));
        return total;
      };
      for (const bool bias : {false, true})
        check_squares<T>(
            columns, [&](double* s, int b, int e) { table.add_dense_squares(x, columns, few, units, bias, s, b, e); },
            [&](int r, int c) { return sum(few, r, units) * (square(x(r, c)) + (bias && c == 0 ? 1 : 0)); });
      check_squares<T>(
          columns, [&](double* s, int b, int e) { table.add_offset_squares(d, columns, s, b, e); },
          [&](int r, int c) { return square(d(r, c)); });
      check_squares<T>(
          columns, [&](double* s, int b, int e) { table.add_prelu_squares(x, d, columns, false, s, b, e); },
          [&](int r, int c) { return x(r, c) < 0 ? square(d(r, c) * x(r, c)) : 0; });
      check_squares<T>(
          columns, [&](double* s, int b, int e) { table.add_prelu_squares(x, d, columns, true, s, b, e); },
          [&](int r, int c) {
            double total = 0;
            for (int k = 0; k < columns; ++k) total += x(r, k) < 0 ? d(r, k) * x(r, k) : T(0);
            return c == 0 ? square(total) : 0;
          });
      check_squares<T>(
          columns,
          [&](double* s, int b, int e) { table.add_layer_norm_squares(x, moments.data(), d, columns, s, b, e); },
          [&](int r, int c) {
            const auto i = static_cast<std::size_t>(2 * r);
            return square(d(r, c) * (x(r, c) - moments[i]) * moments[i + 1]);
          });
    }
  });
}

TEST(a_number_falls_on_the_mass_where_it_lies) {
  Random random(62);
  for (const std::size_t n : {1, 2, 3, 8, 13}) {
    MassTree tree(n), again(n);
    std::vector<double> masses(n);
    for (int change = 0; change < 50; ++change) {
      const auto i = static_cast<std::size_t>(random.below(static_cast<int>(n)));
      masses[i] = random.below(3) == 0 ? 0 : random.below(100);
      tree.set(i, masses[i]);
      again.set_all(n, [&](std::size_t k) { return masses[k]; });
      CHECK_EQUAL(tree.total(), again.total());
      double below = 0;
      for (std::size_t k = 0; k < n; ++k) {
        CHECK_EQUAL(tree[k], masses[k]);
        for (double x = 0.5; x < masses[k]; x += 7) {
          double left = below + x;
          CHECK_EQUAL(tree.find(left), k);
          CHECK_EQUAL(left, x);
        }
        below += masses[k];
      }
      double all = tree.total();
      if (all > 0) CHECK(masses[tree.find(all)] > 0);
    }
  }
}

TEST(numbers_of_a_place_do_not_depend_on_those_around) {
  std::vector<Uniform> all(40), some(13);
  uniform_numbers(7, 3, 0, 40, all.data());
  uniform_numbers(7, 3, 5, 13, some.data());
  for (std::size_t i = 0; i < some.size(); ++i) {
    CHECK_EQUAL(some[i].u, all[i + 5].u);
    CHECK_EQUAL(some[i].coin, all[i + 5].coin);
    CHECK(some[i].u >= 0 && some[i].u < 1 && some[i].coin >= 0 && some[i].coin < 1);
  }
  uniform_numbers(7, 4, 0, 40, all.data());
  CHECK(some[0].u != all[5].u);
  CHECK_EQUAL(part(0x1.fffffffffffffp-1, 3), 2u);
}

}  // namespace
}  // namespace fallline::testing
