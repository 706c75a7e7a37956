// Products without the zeros: element by element equal to those with them.
#include "engine_cases.h"
#include "network/surface.h"

namespace fallline::testing {
namespace {

// Zero but for a share of the elements.
template <class T>
void thin_out(Matrix<T>& x, Random& random, double share) {
  each_element(x.rows(), x.columns(), [&](int r, int c) {
    if (random.uniform(0, 1) >= share) x(r, c) = T(0);
  });
}

TEST(sparse_products_are_those_with_zeros) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width, tile = table.tile_rows;
    Random random(71);
    for (const int rows : {1, tile - 1, tile, tile + 1, 5 * tile + 2})
      for (const int depth : {1, width - 1, width, 2 * width + 3})
        for (const int n : column_counts(width))
          for (const double share : {0.0, 0.2, 1.0}) {
            const Where where("rows ", rows, " depth ", depth, " n ", n, " share ", share);
            Matrix<T> x = Matrix<T>(rows, depth, width, nan<T>).randomize(random);
            thin_out(x, random, share);
            const Nonzeros<T> nonzeros(table, x, rows, depth);
            CHECK(share > 0 || nonzeros.size() == 0);

            std::vector<T> b, start;
            for (int i = 0; i < (n + width) * depth; ++i) b.push_back(static_cast<T>(random.uniform(-1, 1)));
            for (int i = 0; i < n + width; ++i) start.push_back(static_cast<T>(random.uniform(-1, 1)));
            Matrix<T> expected(rows, n, width), c(rows, n, width, T(7));
            RowsProduct<T> product{x, depth, b.data(), start.data(), expected, n, {}};
            table.activations[0].forward(product, 0, rows);
            product.c = c;
            const int half = rows / 2 / tile * tile;
            table.sparse_rows(nonzeros.rows(), product, half, rows);
            each_element(half, n, [&](int r, int k) { CHECK_EQUAL(c(r, k), T(7)); });
            table.sparse_rows(nonzeros.rows(), product, 0, half);
            each_element(rows, n, [&](int r, int k) { CHECK_EQUAL(c(r, k), expected(r, k)); });

            const int columns = std::min(n, width);
            const Matrix<T> delta = Matrix<T>(rows, columns, width, nan<T>).randomize(random);
            for (const int begin : {0, width}) {
              if (begin >= depth) continue;
              Matrix<T> want(depth - begin, width, width, T(2)), g = want;
              WeightGradient<T> gradient{
                  x, begin, depth, Panels<const T>(delta).data, columns, rows, Panels<T>(want).data};
              table.weight_gradient(gradient);
              gradient.g = Panels<T>(g).data;
              table.sparse_gradient(nonzeros.columns(0), gradient);
              each_element(depth - begin, width, [&](int k, int i) { CHECK_EQUAL(g(k, i), want(k, i)); });
            }
          }
  });
}

// Networks whose first layer that learns sees zeros.
TEST(a_surface_gives_the_bits_of_the_whole_data) {
  const auto check = []<class T>(T) {
    constexpr int rows = 2500, inputs = 37;
    Rows<T> data(rows, inputs, 4, true, 5);
    Random random(6);
    for (T& value : data.x) value = random.uniform(0, 1) < 0.05 ? value : T(0);
    const Spec loss_spec = loss("cross_entropy");
    for (const auto& layers : {std::vector{dense(21, "relu", 0, 0.01), dense(4, "softmax")},
                               {rescale(0.5, 0), dense(9, "tanh"), dense(4, "softmax")},
                               {dense(4, "softmax")},
                               {rescale(0.5, 1), dense(9, "gelu"), dense(4, "softmax")}}) {
      const Where where(layers.size(), " layers, float", 8 * sizeof(T));
      auto net = network<T>(inputs, layers, loss_spec, sgd());
      Buffer<T> arena;
      const double expected = loss_and_gradient(*net, data.data(true), arena);
      const std::vector<T> gradient = unpacked(*net, arena.data());
      for (const int threads : {1, 2, 3}) {
        const Threads limit(threads);
        Surface<T> surface(*net, data.shared());
        std::vector<double> x(static_cast<std::size_t>(surface.size())), g = x;
        surface.get(x.data());
        for (int again = 0; again < 2; ++again) {
          CHECK_EQUAL(surface.value_and_gradient(x.data(), g.data()), expected);
          CHECK(std::vector<T>(g.begin(), g.end()) == gradient);
        }
      }
    }
  };
  check(float{});
  check(double{});
}

}  // namespace
}  // namespace fallline::testing
