// The matrix products of all targets. Every element is one chain of multiply-adds in rising order, so the naive loop
// gives the same bits, and a loop in double says that they are right.
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "activation_formulas.h"
#include "kernel_cases.h"

namespace fallline::testing {
namespace {

constexpr int most_rows = 200;

std::vector<int> depths(int width) {
  if (quick()) return {1, 15, 17, width + 1, 513};
  return {1, 2, 15, 16, 17, width - 1, width, width + 1, 511, 512, 513, 1100};
}

// [begin, end): whole batches, tile_rows and row_block more or less one row, and parts of a batch.
std::vector<std::pair<int, int>> row_ranges(int depth) {
  if (depth > 100) return {{0, 1}, {3, 10}, {50, 150}};
  return {{0, 1},  {0, 2},  {0, 5},   {0, 6},   {0, 7}, {0, 12}, {0, 13},  {0, 14},  {0, 15},   {0, 29},   {0, 95},
          {0, 96}, {0, 97}, {0, 200}, {17, 18}, {1, 9}, {5, 5},  {90, 99}, {64, 96}, {99, 200}, {199, 200}};
}

// Packed weights [n/W][depth][W], zero beyond the last column, and start [n/W][W].
template <class T>
struct Weights {
  int width, depth;
  std::vector<T> packed, start;

  Weights(Random& random, int depth_, int n, int width_) : width(width_), depth(depth_) {
    const auto padded = static_cast<std::size_t>((n + width - 1) / width * width);
    packed.resize(padded * static_cast<std::size_t>(depth));
    start.resize(padded);
    each_element(depth, n, [&](int k, int c) { (*this)(k, c) = static_cast<T>(random.uniform(-1, 1)); });
    for (int c = 0; c < n; ++c) start[static_cast<std::size_t>(c)] = static_cast<T>(random.uniform(-1, 1));
  }
  T& operator()(int k, int c) { return packed[static_cast<std::size_t>((c / width * depth + k) * width + c % width)]; }
};

// The chain of each element, and its sum in double with a bound of the chain's error.
template <class T>
struct Reference {
  Matrix<T> chain, exact, bound;

  Reference(const Matrix<T>& a, Weights<T>& b, bool with_start, int n, int width)
      : chain(a.rows(), n, width), exact(a.rows(), n, width), bound(a.rows(), n, width) {
    const bool fused = has_fma(width, sizeof(T));
    each_element(a.rows(), n, [&](int r, int c) {
      const T start = with_start ? b.start[static_cast<std::size_t>(c)] : T(0);
      T sum = start;
      double exact_sum = start, size = std::abs(start);
      for (int k = 0; k < b.depth; ++k) {
        sum = multiply_add(fused, a(r, k), b(k, c), sum);
        const double product = static_cast<double>(a(r, k)) * static_cast<double>(b(k, c));
        exact_sum += product;
        size += std::abs(product);
      }
      chain(r, c) = sum;
      exact(r, c) = static_cast<T>(exact_sum);
      bound(r, c) = static_cast<T>(epsilon<T> * (b.depth + 2) * size);
    });
  }
};

// Activations that tiles apply themselves, one that follows them, and one with a parameter.
const std::vector<std::string> product_activations{"linear", "relu", "tanh", "leaky_relu"};

template <class T, class F>
void each_product_activation(const KernelTable<T>& table, F f) {
  for (int i = 0; i < table.activation_count; ++i)
    if (std::count(product_activations.begin(), product_activations.end(), table.activations[i].name) == 1)
      f(table.activations[i]);
}

// Rows outside [begin, end) must not have been touched.
template <class T>
void check_untouched(const Matrix<T>& c, int begin, int end, T fill) {
  for (int r = 0; r < c.rows(); ++r)
    for (int k = 0; (r < begin || r >= end) && k < c.padded(); ++k) CHECK_EQUAL(c(r, k), fill);
}

constexpr double untouched = -77;

template <class T>
void check_forward(const KernelTable<T>& table, const ActivationKernels<T>& kernel, const Matrix<T>& a, Weights<T>& b,
                   int n, const Reference<T>& expected, int begin, int end) {
  const T fill = static_cast<T>(untouched);
  Matrix<T> c(a.rows(), n, table.panel_width, fill);
  const T parameter = T(0.25);
  kernel.forward({a, b.depth, b.packed.data(), b.start.data(), c, n, {}, parameter}, begin, end);
  const Formula f = formula(kernel.name);
  for (int r = begin; r < end; ++r)
    for (int k = 0; k < n; ++k) {
      if (f.exact) CHECK_EQUAL(static_cast<long double>(c(r, k)), f.value(expected.chain(r, k), parameter));
      CHECK_NEAR(c(r, k), f.value(expected.exact(r, k), parameter), expected.bound(r, k) + 8 * epsilon<T>);
    }
  check_untouched(c, begin, end, fill);
}

template <class T>
void check_backward(const KernelTable<T>& table, const ActivationKernels<T>& kernel, const Matrix<T>& a, Weights<T>& b,
                    int n, const Matrix<T>& gate, const Reference<T>& expected, int begin, int end) {
  const T fill = static_cast<T>(untouched);
  Matrix<T> c(a.rows(), n, table.panel_width, fill);
  const T parameter = T(0.25);
  kernel.backward({a, b.depth, b.packed.data(), nullptr, c, n, gate, parameter}, begin, end);
  const Formula f = formula(kernel.name);
  for (int r = begin; r < end; ++r)
    for (int k = 0; k < n; ++k) {
      const long double slope = f.slope(gate(r, k), parameter);
      if (f.exact) CHECK_EQUAL(static_cast<long double>(c(r, k)), expected.chain(r, k) * slope);
      const double size = std::abs(expected.exact(r, k));
      CHECK_NEAR(c(r, k), expected.exact(r, k) * slope, expected.bound(r, k) + 8 * epsilon<T> * size);
    }
  check_untouched(c, begin, end, fill);
}

TEST(products_match_naive_loops) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(1);
    for (const int depth : depths(width)) {
      // The columns of x beyond its last may hold anything.
      const Matrix<T> a = Matrix<T>(most_rows, depth, width, nan<T>).randomize(random);
      for (const int n : column_counts(width)) {
        if (depth > 100 && n != 1 && n != width / 2 + 1 && n != width + 1) continue;
        Weights<T> b(random, depth, n, width);
        const Matrix<T> gate = Matrix<T>(most_rows, n, width).randomize(random);
        const Reference<T> with_start(a, b, true, n, width), without(a, b, false, n, width);
        for (const auto& [begin, end] : row_ranges(depth))
          each_product_activation(table, [&, begin = begin, end = end](const ActivationKernels<T>& kernel) {
            const Where where(kernel.name, " rows ", begin, "..", end, " depth ", depth, " columns ", n);
            check_forward(table, kernel, a, b, n, with_start, begin, end);
            check_backward(table, kernel, a, b, n, gate, without, begin, end);
          });
      }
    }
  });
}

TEST(products_do_not_depend_on_the_rows_around) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width, rows = 101;
    Random random(2);
    for (const int depth : {3, 17, 600})
      for (const int n : {1, width / 2 + 1, width, 3 * width + 1, 7 * width - 1}) {
        const Matrix<T> a = Matrix<T>(rows, depth, width).randomize(random);
        Weights<T> b(random, depth, n, width);
        each_product_activation(table, [&](const ActivationKernels<T>& kernel) {
          const Where where(kernel.name, " depth ", depth, " columns ", n);
          Matrix<T> whole(rows, n, width), single(rows, n, width), parts(rows, n, width);
          kernel.forward({a, depth, b.packed.data(), b.start.data(), whole, n, {}}, 0, rows);
          for (int r = 0; r < rows; ++r)
            kernel.forward({a, depth, b.packed.data(), b.start.data(), single, n, {}}, r, r + 1);
          for (int r = 0; r < rows;) {
            const int end = std::min(rows, r + 1 + random.below(20));
            kernel.forward({a, depth, b.packed.data(), b.start.data(), parts, n, {}}, r, end);
            r = end;
          }
          each_element(rows, n, [&](int r, int c) {
            CHECK_EQUAL(single(r, c), whole(r, c));
            CHECK_EQUAL(parts(r, c), whole(r, c));
          });
        });
      }
  });
}

TEST(weight_gradients_match_naive_loops) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width, inputs = 3 * width + 5;
    const bool fused = has_fma(width, sizeof(T));
    Random random(4);
    for (const int rows : {1, 2, 3, 17, 255, 256, 257, 513, 600}) {
      const Matrix<T> x = Matrix<T>(rows, inputs, width, nan<T>).randomize(random);
      for (const int columns : {1, width / 2 - 1, width / 2, width / 2 + 1, width - 1, width}) {
        const Matrix<T> delta = Matrix<T>(rows, columns, width).randomize(random);
        for (const auto& strip : {std::pair{0, inputs},
                                  {0, 1},
                                  {0, width},
                                  {width, 3 * width},
                                  {2 * width, inputs},
                                  {3, width + 7},
                                  {width - 1, width + 1}}) {
          const int begin = strip.first, end = strip.second;  // Clang's OpenMP cannot capture bindings
          if (rows > 100 && end - begin > width + 5) continue;
          const Where where("rows ", rows, " columns ", columns, " strip ", begin, "..", end);
          Matrix<T> g(end - begin, columns, width, nan<T>);
          table.weight_gradient({x, begin, end, Panels<const T>(delta).data, columns, rows, Panels<T>(g).data});
          each_element(end - begin, width, [&](int k, int c) {
            T sum = 0;
            for (int r = 0; r < rows; ++r) sum = multiply_add(fused, x(r, begin + k), delta(r, c), sum);
            CHECK_EQUAL(g(k, c), sum);
            if (c >= columns) CHECK_EQUAL(g(k, c), T(0));
          });
        }
      }
    }
  });
}

TEST(column_sums_in_the_order_of_the_rows) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(5);
    for (const int rows : {1, 2, 7, 100, 600})
      for (int columns = 1; columns <= width; ++columns) {
        const Where where("rows ", rows, " columns ", columns);
        const Matrix<T> delta = Matrix<T>(rows, columns, width, nan<T>).randomize(random);
        std::vector<T> sums(static_cast<std::size_t>(width), T(3));
        table.column_sums(Panels<const T>(delta).data, columns, rows, sums.data());
        for (int c = 0; c < width; ++c) {
          T sum = 0;
          for (int r = 0; r < rows && c < columns; ++r) sum += delta(r, c);
          CHECK_EQUAL(sums[static_cast<std::size_t>(c)], c < columns ? sum : T(0));
        }
      }
  });
}

TEST(transpose_there_and_back) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(6);
    // Packs w (rows, columns) in panels into its transpose, strip by strip.
    const auto transposed = [&](const Matrix<T>& w, int strip) {
      Matrix<T> t(w.columns(), w.rows(), width);
      const Panels<const T> in = w;
      const Panels<T> out = t;
      for (int begin = 0; begin < w.rows(); begin += strip)
        for (int c = 0; c < w.columns(); c += width)
          table.transpose(in.data + c / width * in.stride + begin * width, begin, std::min(begin + strip, w.rows()),
                          std::min(width, w.columns() - c), out.data + c * width, out.stride);
      return t;
    };
    for (const int rows : column_counts(width))
      for (const int columns : column_counts(width)) {
        const Where where("rows ", rows, " columns ", columns);
        const Matrix<T> w = Matrix<T>(rows, columns, width).randomize(random);
        const Matrix<T> t = transposed(w, 2 * width), again = transposed(t, width);
        each_element(rows, columns, [&](int r, int c) {
          CHECK_EQUAL(t(c, r), w(r, c));
          CHECK_EQUAL(again(r, c), w(r, c));
        });
      }
  });
}

template <class T>
const KernelTable<T>& table_of(const Target& target) {
  if constexpr (std::is_same_v<T, float>)
    return target.float32;
  else
    return target.float64;
}

// What products and activations give on one target, the padding left out.
template <class T>
std::vector<T> results(const KernelTable<T>& table) {
  const int width = table.panel_width, rows = 37, depth = 700, n = 45;
  Random random(7);
  Matrix<T> x = Matrix<T>(rows, depth, width).randomize(random),
            delta = Matrix<T>(rows, n, width).randomize(random, -9, 9);
  Weights<T> b(random, depth, n, width);
  std::vector<T> all;
  const auto keep = [&](const Matrix<T>& m) {
    each_element(m.rows(), m.columns(), [&](int r, int c) { all.push_back(m(r, c)); });
  };
  for (int i = 0; i < table.activation_count; ++i) {
    Matrix<T> c(rows, n, width), value(rows, n, width), slope = delta;
    table.activations[i].forward({x, depth, b.packed.data(), b.start.data(), c, n, {}}, 0, rows);
    keep(c);
    table.activations[i].backward({x, depth, b.packed.data(), nullptr, c, n, delta}, 0, rows);
    keep(c);
    table.activations[i].value(delta, value, n, T(0.25), 0, rows);
    keep(value);
    table.activations[i].gradient(table.activations[i].from_input ? delta : value, slope, n, T(0.25), 0, rows);
    keep(slope);
  }
  for (int column = 0; column < n; ++column) {
    const Matrix<T> one = [&] {
      Matrix<T> m(rows, 1, width);
      for (int r = 0; r < rows; ++r) m(r, 0) = delta(r, column);
      return m;
    }();
    Matrix<T> g(depth, 1, width);
    table.weight_gradient({x, 0, depth, Panels<const T>(one).data, 1, rows, Panels<T>(g).data});
    keep(g);
  }
  return all;
}

TEST(targets_with_fma_give_the_same_bits) {
  const auto compare = []<class T>(T) {
    std::vector<T> first;
    each_target([&](const Target& target) {
      const KernelTable<T>& table = table_of<T>(target);
      if (!has_fma(table.panel_width, sizeof(T))) return;
      const Where where(target.name, sizeof(T) == 4 ? " float32" : " float64");
      const std::vector<T> here = results(table);
      if (first.empty()) first = here;
      CHECK_EQUAL(here.size(), first.size());
      CHECK(std::memcmp(here.data(), first.data(), here.size() * sizeof(T)) == 0);
    });
  };
  compare(float{});
  compare(double{});
}

}  // namespace
}  // namespace fallline::testing
