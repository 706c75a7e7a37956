// Rows of activations brought in and out, rescaled, normalised and dropped, on all targets.
#include <algorithm>
#include <cstring>
#include <map>

#include "kernel_cases.h"

namespace fallline::testing {
namespace {

// A user's array of one dtype: `rows` rows that start `row_stride` elements apart, their columns `column_stride` apart,
// at an address that need not be aligned.
template <class From>
class UserArray {
 public:
  UserArray(Random& random, int rows, int columns, int row_stride, int column_stride)
      : row_stride_(row_stride), column_stride_(column_stride) {
    const int corners[] = {0, (rows - 1) * row_stride, (columns - 1) * column_stride,
                           (rows - 1) * row_stride + (columns - 1) * column_stride};
    const auto [lowest, highest] = std::minmax_element(std::begin(corners), std::end(corners));
    first_ = 1 - *lowest * element;
    bytes_.resize(static_cast<std::size_t>(1 + (*highest - *lowest + 1) * element));
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c) {
        const auto value =
            static_cast<From>(random.uniform(std::is_signed_v<From> ? -1e6 : 0, std::is_signed_v<From> ? 1e6 : 255));
        std::memcpy(&bytes_[place(r, c)], &value, sizeof value);
      }
  }

  From operator()(int r, int c) const {
    From value;
    std::memcpy(&value, &bytes_[place(r, c)], sizeof value);
    return value;
  }
  Source source() const {
    return {&bytes_[static_cast<std::size_t>(first_)], type(From{}), row_stride_ * element, column_stride_ * element};
  }

 private:
  static constexpr int element = sizeof(From);
  static SourceType type(float) { return SourceType::float32; }
  static SourceType type(double) { return SourceType::float64; }
  static SourceType type(std::uint8_t) { return SourceType::uint8; }
  static SourceType type(std::int32_t) { return SourceType::int32; }
  static SourceType type(std::int64_t) { return SourceType::int64; }
  std::size_t place(int r, int c) const {
    return static_cast<std::size_t>(first_ + (r * row_stride_ + c * column_stride_) * element);
  }

  int row_stride_, column_stride_, first_;
  std::vector<char> bytes_;
};

template <class T, class From>
void check_gather(const KernelTable<T>& table, Random& random) {
  constexpr int rows = 9;
  const int width = table.panel_width;
  const std::int64_t shuffled[rows] = {3, 8, 8, 0, 5, 1, 2, 7, 6};
  for (const int columns : column_counts(width))
    for (const auto& [row_stride, column_stride] :
         {std::pair{columns, 1}, {columns + 3, 1}, {2 * columns, 2}, {1, rows}, {-columns, 1}, {columns, -1}, {0, 1}})
      for (const std::int64_t* index : {static_cast<const std::int64_t*>(nullptr), shuffled}) {
        const Where where("columns ", columns, " strides ", row_stride, " ", column_stride, index ? " indexed" : "");
        const UserArray<From> array(random, rows, columns, row_stride, column_stride);
        Matrix<T> x(rows, columns, width, T(-7));
        table.gather(array.source(), index, columns, x, 2, 8);
        each_element(rows, x.padded(), [&](int r, int c) {
          const int from = index ? static_cast<int>(index[r]) : r;
          const T inside = c < columns ? static_cast<T>(array(from, c)) : T(0);
          CHECK_EQUAL(x(r, c), r < 2 || r >= 8 ? T(-7) : inside);
        });
      }
}

TEST(gather_every_dtype_and_stride) {
  each_table([]<class T>(const KernelTable<T>& table) {
    Random random(11);
    check_gather<T, float>(table, random);
    check_gather<T, double>(table, random);
    check_gather<T, std::uint8_t>(table, random);
    check_gather<T, std::int32_t>(table, random);
    check_gather<T, std::int64_t>(table, random);
  });
}

TEST(scatter_undoes_gather) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width, rows = 6;
    const std::int64_t order[rows] = {4, 2, 0, 5, 1, 3};
    Random random(12);
    for (const int columns : column_counts(width))
      for (const std::int64_t* index : {static_cast<const std::int64_t*>(nullptr), order}) {
        const Where where("columns ", columns, index ? " indexed" : "");
        const UserArray<T> array(random, rows, columns, columns, 1);
        Matrix<T> x(rows, columns, width);
        std::vector<T> out(static_cast<std::size_t>(rows * columns), T(-7));
        table.gather(array.source(), index, columns, x, 0, rows);
        table.scatter(x, columns, out.data(), index, 1, 5);
        each_element(rows, columns, [&](int r, int c) {
          const int to = index ? static_cast<int>(index[r]) : r;
          CHECK_EQUAL(out[static_cast<std::size_t>(to * columns + c)], r < 1 || r >= 5 ? T(-7) : array(to, c));
        });
      }
  });
}

TEST(affine_column_by_column) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width, rows = 7;
    Random random(13);
    for (const int columns : column_counts(width)) {
      const Matrix<T> x = Matrix<T>(rows, columns, width).randomize(random);
      Matrix<T> y(rows, columns, width, T(-7));
      std::vector<T> scale, offset;
      for (int c = 0; c < x.padded(); ++c) {
        scale.push_back(static_cast<T>(random.uniform(-2, 2)));
        offset.push_back(static_cast<T>(random.uniform(-2, 2)));
      }
      table.affine(x, scale.data(), offset.data(), y, columns, 1, 6);
      each_element(rows, columns, [&](int r, int c) {
        const auto i = static_cast<std::size_t>(c);
        const T expected = multiply_add(has_fma(width, sizeof(T)), x(r, c), scale[i], offset[i]);
        CHECK_EQUAL(y(r, c), r < 1 || r >= 6 ? T(-7) : expected);
      });
    }
  });
}

// softmax of row r in long double.
template <class T>
std::vector<long double> softmax_of(const Matrix<T>& z, int r) {
  long double most = z(r, 0), sum = 0;
  for (int c = 0; c < z.columns(); ++c) most = std::max<long double>(most, z(r, c));
  std::vector<long double> p;
  for (int c = 0; c < z.columns(); ++c) sum += p.emplace_back(std::exp(static_cast<long double>(z(r, c)) - most));
  for (long double& each : p) each /= sum;
  return p;
}

TEST(softmax_of_rows) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width, rows = 6;
    Random random(14);
    for (const int columns : column_counts(width))
      for (const double size : {1.0, 50.0, 1000.0}) {
        const Where where("columns ", columns, " up to ", size);
        const Matrix<T> z = Matrix<T>(rows, columns, width, nan<T>).randomize(random, -size, size);
        Matrix<T> y(rows, columns, width, T(-7)), same = z;
        table.softmax(z, y, columns, 1, 5);
        table.softmax(same, same, columns, 1, 5);
        for (int r = 1; r < 5; ++r) {
          const std::vector<long double> p = softmax_of(z, r);
          double sum = 0;
          for (int c = 0; c < columns; ++c) {
            CHECK_NEAR(y(r, c), p[static_cast<std::size_t>(c)], 8 * epsilon<T>);
            CHECK_EQUAL(same(r, c), y(r, c));
            sum += static_cast<double>(y(r, c));
          }
          CHECK_NEAR(sum, 1, 8 * epsilon<T>);
        }
        for (int c = 0; c < y.padded(); ++c) CHECK(y(0, c) == T(-7) && y(5, c) == T(-7));
      }
  });
}

TEST(softmax_of_infinities_and_nan) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const T infinity = std::numeric_limits<T>::infinity();
    const int columns = 5;
    Matrix<T> z(3, columns, table.panel_width), y = z;
    z(0, 1) = -infinity;
    z(1, 2) = nan<T>;
    z(2, 3) = infinity;
    table.softmax(z, y, columns, 0, 3);
    for (int c = 0; c < columns; ++c) {
      CHECK_NEAR(y(0, c), c == 1 ? 0 : 0.25, epsilon<T>);
      CHECK(std::isnan(y(1, c)));
    }
    CHECK(std::isnan(y(2, 3)));
  });
}

TEST(softmax_gradient_is_the_derivative) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width, rows = 4;
    Random random(15);
    for (const int columns : column_counts(width)) {
      const Where where("columns ", columns);
      Matrix<T> z = Matrix<T>(rows, columns, width).randomize(random, -2, 2), y = z;
      const Matrix<T> dy = Matrix<T>(rows, columns, width, nan<T>).randomize(random);
      Matrix<T> dz = dy;
      table.softmax(z, y, columns, 0, rows);
      table.softmax_gradient(y, dz, columns, 1, 3);
      const auto objective = [&](int r) {  // sum of dy * softmax(z)
        const std::vector<long double> p = softmax_of(z, r);
        long double sum = 0;
        for (int c = 0; c < columns; ++c) sum += static_cast<long double>(dy(r, c)) * p[static_cast<std::size_t>(c)];
        return sum;
      };
      each_element(rows, columns, [&](int r, int c) {
        if (r < 1 || r >= 3) {
          CHECK_EQUAL(dz(r, c), dy(r, c));
          return;
        }
        const T kept = z(r, c), step = static_cast<T>(0x1p-8);
        z(r, c) = kept + step;
        const long double up = objective(r), above = z(r, c);
        z(r, c) = kept - step;
        const long double slope = (up - objective(r)) / (above - static_cast<long double>(z(r, c)));
        z(r, c) = kept;
        CHECK_NEAR(dz(r, c), slope, 1e-5);
      });
    }
  });
}

TEST(dropout_does_not_depend_on_the_rows_around) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width, rows = 40;
    const RandomKey key{1234567890123, 3, 77};
    Random random(16);
    for (const int columns : column_counts(width)) {
      const Where where("columns ", columns);
      const Matrix<T> x = Matrix<T>(rows, columns, width).randomize(random, 1, 2);
      Matrix<T> whole(rows, columns, width, T(-7)), parts = whole;
      table.dropout(x, whole, columns, 0.3, key, 0, 0, rows);
      for (int r = 0; r < rows;) {
        const int end = std::min(rows, r + 1 + random.below(7));
        table.dropout(x, parts, columns, 0.3, key, 0, r, end);
        r = end;
      }
      // The lower half again as a batch piece of its own.
      Matrix<T> below(rows / 2, columns, width);
      each_element(rows / 2, columns, [&](int r, int c) { below(r, c) = x(rows / 2 + r, c); });
      table.dropout(below, below, columns, 0.3, key, rows / 2, 0, rows / 2);
      each_element(rows, columns, [&](int r, int c) {
        CHECK_EQUAL(parts(r, c), whole(r, c));
        if (r >= rows / 2) CHECK_EQUAL(below(r - rows / 2, c), whole(r, c));
      });
    }
  });
}

TEST(dropout_keeps_its_share_and_scales_it) {
  const int rows = 500, columns = 83;
  std::map<double, std::vector<bool>> masks;  // the same on all targets and for both dtypes
  each_table([&]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    Random random(17);
    const Matrix<T> x = Matrix<T>(rows, columns, width).randomize(random, 1, 2);
    for (const double rate : {0.0, 0.1, 0.5, 0.9}) {
      const Where where("rate ", rate);
      Matrix<T> y(rows, columns, width), other = y;
      table.dropout(x, y, columns, rate, {42, 1, 5}, 0, 0, rows);
      table.dropout(x, other, columns, rate, {42, 1, 6}, 0, 0, rows);
      std::vector<bool> mask;
      int kept = 0, both = 0;
      each_element(rows, columns, [&](int r, int c) {
        const bool here = y(r, c) != T(0);
        mask.push_back(here);
        kept += here;
        both += here && other(r, c) != T(0);
        if (here) CHECK_NEAR(y(r, c), static_cast<double>(x(r, c)) / (1 - rate), 4 * epsilon<T> / (1 - rate));
      });
      const double n = rows * columns, keep = 1 - rate;
      CHECK_NEAR(kept / n, keep, 4 * std::sqrt(keep * rate / n));
      CHECK_NEAR(both / n, keep * keep, 4 * std::sqrt(keep * keep * (1 - keep * keep) / n));
      const auto [first, added] = masks.try_emplace(rate, mask);
      CHECK(added || first->second == mask);
    }
  });
}

}  // namespace
}  // namespace fallline::testing
