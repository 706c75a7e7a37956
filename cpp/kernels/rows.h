// What is done to rows of activations besides multiplying: bringing them in and out, elementwise layers, softmax.
// Panels as in gemm.h; a row's columns beyond the last are free to hold anything.
#pragma once

#include <algorithm>
#include <type_traits>

#include "activations.h"
#include "table.h"

namespace fallline {
namespace {

template <class T>
FALLLINE_INLINE std::ptrdiff_t at(int row) {
  return static_cast<std::ptrdiff_t>(row) * panel_width<T>;
}

template <class T>
FALLLINE_INLINE T* element(Panels<T> x, int row, int column) {
  constexpr int W = panel_width<std::remove_const_t<T>>;
  return x.data + column / W * x.stride + static_cast<std::ptrdiff_t>(row) * W + column % W;
}

// y = f(x, y) for each vector of each row that holds a column.
template <class T, class F>
FALLLINE_INLINE void each_vector(Panels<const T> x, Panels<T> y, int columns, int begin, int end, F f) {
  for (int c = 0, p = 0; c < columns; c += panel_width<T>, ++p) {
    const T* in = x.data + p * x.stride;
    T* out = y.data + p * y.stride;
    const int step = columns - c > lanes<T> ? lanes<T> : panel_width<T>;  // past the second half of a narrow panel
    for (std::ptrdiff_t i = at<T>(begin); i < at<T>(end); i += step) store(out + i, f(load(in + i), out + i));
  }
}

template <class T, class Activation>
void activation_value(Panels<const T> x, Panels<T> y, int columns, T parameter, int begin, int end) {
  const Vec<T> p = broadcast(parameter);
  each_vector<T>(x, y, columns, begin, end, [p](Vec<T> z, const T*) { return value_of<Activation, T>(z, p); });
}

template <class T, class Activation>
void activation_gradient(Panels<const T> at, Panels<T> dy, int columns, T parameter, int begin, int end) {
  const Vec<T> p = broadcast(parameter);
  each_vector<T>(at, dy, columns, begin, end,
                 [p](Vec<T> x, const T* d) { return gradient_of<Activation, T>(load(d), x, p); });
}

template <class T>
void add(Panels<const T> x, Panels<const T> z, Panels<T> y, int columns, int begin, int end) {
  for (int c = 0, p = 0; c < columns; c += panel_width<T>, ++p)
    for (std::ptrdiff_t i = at<T>(begin); i < at<T>(end); i += lanes<T>)
      store(y.data + p * y.stride + i, load(x.data + p * x.stride + i) + load(z.data + p * z.stride + i));
}

// y = x * scale + offset, column by column; scale and offset are padded to whole panels.
template <class T>
void affine(Panels<const T> x, const T* scale, const T* offset, Panels<T> y, int columns, int begin, int end) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  for (int c = 0, p = 0; c < columns; c += W, ++p)
    for (std::ptrdiff_t i = at<T>(begin); i < at<T>(end); i += W)
      for (int v = 0; v < W; v += V)
        store(y.data + p * y.stride + i + v,
              fma(load(x.data + p * x.stride + i + v), load(scale + c + v), load(offset + c + v)));
}

// y = x / (1 - rate) where the element's random number is at least rate, else 0. Element (r, c) of the batch takes
// its number from the key and (first_row + r, c) alone. Applied to a gradient, it is the backward pass.
template <class T>
void dropout(Panels<const T> x, Panels<T> y, int columns, double rate, RandomKey key, int first_row, int begin,
             int end) {
  constexpr int block = 8;  // counters at a time, four numbers each
  const auto threshold = static_cast<std::uint32_t>(std::min(rate * 4294967296.0, 4294967295.0));
  const T keep = static_cast<T>(1 / (1 - rate));
  const int counters = (columns + 3) / 4;
  for (int r = begin; r < end; ++r)
    for (int j = 0; j < counters; j += block) {
      std::uint32_t numbers[4][block];
      philox<block>(key,
                    static_cast<std::uint32_t>(first_row + r) * static_cast<std::uint32_t>(counters) +
                        static_cast<std::uint32_t>(j),
                    numbers);
      for (int i = 0; i < 4 * block; ++i) {
        const int c = 4 * j + i;
        if (c >= columns) break;
        const std::ptrdiff_t where = at<T>(r) + c % panel_width<T>;
        const std::ptrdiff_t panel = c / panel_width<T>;
        const T value = x.data[panel * x.stride + where];
        y.data[panel * y.stride + where] = numbers[i % 4][i / 4] >= threshold ? value * keep : T(0);
      }
    }
}

// The columns [c, c + W) of one row, in registers; those beyond the last are `rest`.
template <class T>
struct Columns {
  Vec<T> low, high;
  Columns(Panels<const T> x, int c, int columns, int row, T rest) {
    const T* p = x.data + c / panel_width<T> * x.stride + at<T>(row);
    low = first_lanes<T>(load(p), columns - c, rest);
    high = first_lanes<T>(load(p + lanes<T>), columns - c - lanes<T>, rest);
  }
};

template <class T>
FALLLINE_INLINE T row_max(Panels<const T> z, int columns, int row) {
  Vec<T> most = broadcast(-std::numeric_limits<T>::infinity());
  for (int c = 0; c < columns; c += panel_width<T>) {
    const Columns<T> x(z, c, columns, row, -std::numeric_limits<T>::infinity());
    most = max<T>(most, max<T>(x.low, x.high));
  }
  return reduce_max<T>(most);
}

// y = e^(z - max) of one row; returns its sum. Columns beyond the last become 0.
template <class T>
FALLLINE_INLINE T row_exp(Panels<const T> z, Panels<T> y, int columns, int row, T most) {
  Vec<T> sum{};
  for (int c = 0; c < columns; c += panel_width<T>) {
    const Columns<T> x(z, c, columns, row, -std::numeric_limits<T>::infinity());
    const Vec<T> low = exp<T>(x.low - most), high = exp<T>(x.high - most);
    T* out = y.data + c / panel_width<T> * y.stride + at<T>(row);
    store(out, low);
    store(out + lanes<T>, high);
    sum = sum + (low + high);
  }
  return reduce_sum<T>(sum);
}

template <class T>
FALLLINE_INLINE void row_scale(Panels<T> y, int columns, int row, T factor) {
  for (int c = 0; c < columns; c += panel_width<T>) {
    T* out = y.data + c / panel_width<T> * y.stride + at<T>(row);
    store(out, load(out) * factor);
    store(out + lanes<T>, load(out + lanes<T>) * factor);
  }
}

// y = e^z / sum(e^z), row by row.
template <class T>
void softmax(Panels<const T> z, Panels<T> y, int columns, int begin, int end) {
  for (int r = begin; r < end; ++r)
    row_scale<T>(y, columns, r, T(1) / row_exp<T>(z, y, columns, r, row_max<T>(z, columns, r)));
}

// dz = y (dy - sum(y dy)), row by row: the full Jacobian diag(y) - y y'.
template <class T>
void softmax_gradient(Panels<const T> y, Panels<T> dy, int columns, int begin, int end) {
  for (int r = begin; r < end; ++r) {
    Vec<T> dot{};
    for (int c = 0; c < columns; c += panel_width<T>) {
      const Columns<T> p(y, c, columns, r, T(0)), d(dy, c, columns, r, T(0));
      dot = fma(p.low, d.low, fma(p.high, d.high, dot));
    }
    const T mean = reduce_sum<T>(dot);
    for (int c = 0; c < columns; c += panel_width<T>) {
      const Columns<T> p(y, c, columns, r, T(0)), d(dy, c, columns, r, T(0));
      T* out = dy.data + c / panel_width<T> * dy.stride + at<T>(r);
      store(out, p.low * (d.low - mean));
      store(out + lanes<T>, p.high * (d.high - mean));
    }
  }
}

// W columns, or the n < W that are left and zeros after them.
template <class T, class From>
FALLLINE_INLINE void convert(const char* in, std::ptrdiff_t stride, int n, T* out) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  const auto together = [&](auto count) {
    if constexpr (std::is_same_v<T, From>) {
      // An array in between would be written in other pieces than it is read, which the processor waits for.
      for (int i = 0; i < count; i += V) {
        Vec<T> block;
        std::memcpy(&block, in + static_cast<std::ptrdiff_t>(i) * stride, sizeof block);
        store(out + i, block);
      }
    } else {
      From block[count];
      std::memcpy(block, in, sizeof block);
      for (int i = 0; i < count; ++i) out[i] = static_cast<T>(block[i]);
    }
  };
  const bool dense = stride == static_cast<std::ptrdiff_t>(sizeof(From));
  if (dense && n >= W) return together(std::integral_constant<int, W>{});
  int first = 0;
  if (dense && n >= V) {
    together(std::integral_constant<int, V>{});
    first = V;
  }
  for (int i = first; n < W && i < W; i += V) store(out + i, Vec<T>{});
  for (int i = first; i < std::min(n, W); ++i) {
    From value;
    std::memcpy(&value, in + i * stride, sizeof value);
    out[i] = static_cast<T>(value);
  }
}

// Rows [begin, end) of a batch from the user's array, converted to T; columns beyond the last become 0.
template <class T, class From>
void gather_from(const Source& source, const std::int64_t* index, int columns, Panels<T> x, int begin, int end) {
  constexpr int W = panel_width<T>;
  for (int r = begin; r < end; ++r) {
    const char* in = static_cast<const char*>(source.data) + (index ? index[r] : r) * source.row_stride;
    T* out = x.data + at<T>(r);
    for (int left = columns; left > 0; left -= W, in += W * source.column_stride, out += x.stride)
      convert<T, From>(in, source.column_stride, left, out);
  }
}

template <class T>
void gather(const Source& source, const std::int64_t* index, int columns, Panels<T> x, int begin, int end) {
  switch (source.type) {
    case SourceType::float32:
      return gather_from<T, float>(source, index, columns, x, begin, end);
    case SourceType::float64:
      return gather_from<T, double>(source, index, columns, x, begin, end);
    case SourceType::uint8:
      return gather_from<T, std::uint8_t>(source, index, columns, x, begin, end);
    case SourceType::int32:
      return gather_from<T, std::int32_t>(source, index, columns, x, begin, end);
    case SourceType::int64:
      return gather_from<T, std::int64_t>(source, index, columns, x, begin, end);
  }
}

// Rows of panels to the rows index[r] (or r) of a plain matrix out [.][columns].
template <class T>
void scatter(Panels<const T> x, int columns, T* out, const std::int64_t* index, int begin, int end) {
  constexpr int W = panel_width<T>;
  for (int r = begin; r < end; ++r) {
    T* row = out + (index ? index[r] : r) * columns;
    for (int c = 0, p = 0; c < columns; c += W, ++p)
      std::memcpy(row + c, x.data + p * x.stride + at<T>(r),
                  sizeof(T) * static_cast<std::size_t>(std::min(W, columns - c)));
  }
}

}  // namespace
}  // namespace fallline
