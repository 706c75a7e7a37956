// C += A * B on panels: the one loop that multiplies matrices. Forward, input gradient and weight gradient differ in
// how they walk A and in what becomes of a finished tile.
//
//   A: panels [k/W][rows][W], W = panel_width: element (r, k) at a[k/W * stride + r * W + k % W]
//   B: packed panels [n/W][k][W]
//   C: panels [n/W][rows][W]
//
// Each element of C is one chain of fma over k in rising order, whatever the tile, block or thread it falls in; that
// is what makes the bits independent of all three.
#pragma once

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "activations.h"
#include "table.h"

namespace fallline {
namespace {

// MR x 2 accumulators, 2 registers of B and one broadcast of A fill the register file.
inline constexpr int tile_rows = (registers - 3) / 2;

// A product goes this deep before its tile is put back: the columns of B then stay in the nearer caches.
inline constexpr int depth_block = 512;
// Rows of A that stay in the second-level cache while the panels of B pass by.
inline constexpr int row_block = 96;
// Rows of a batch that a weight gradient takes at a time, so that its panels of x and delta stay in the first level.
inline constexpr int gradient_rows = 256;

// The two ways to walk A from tile row to tile row and from k to k + 1.
struct AlongColumns {  // rows of C are rows of A
  template <class T>
  static constexpr int row = panel_width<T>;
  template <class T>
  static constexpr int next = 1;
};
struct AlongRows {  // rows of C are columns of A (A transposed)
  template <class T>
  static constexpr int row = 1;
  template <class T>
  static constexpr int next = panel_width<T>;
};

// One tile: MR rows and NV registers of C. Runs over `runs` stretches of `steps` k's, and one of `last`; A jumps
// from stretch to stretch, B goes straight on. C starts at `start` (rows `start_row` apart) and ends in
// finish(sum, gate).
template <class T, int MR, int NV, class Walk, class Finish>
void tile(const T* a, std::ptrdiff_t jump, int runs, int steps, int last, const T* b, const T* start, int start_row,
          T* c, const T* gate) {
  constexpr int W = panel_width<T>, V = lanes<T>, row = Walk::template row<T>, next = Walk::template next<T>;
  Vec<T> acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v] = load(start + i * start_row + v * V);
  for (int run = 0; run <= runs; ++run) {
    const int count = run < runs ? steps : last;
    const T* p = a + run * jump;
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
      Vec<T> column[NV];
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) column[v] = load(b + v * V);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const Vec<T> x = broadcast(p[i * row]);
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[i][v] = fma(x, column[v], acc[i][v]);
      }
      p += next;
      b += W;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) store(c + i * W + v * V, Finish::template apply<T>(acc[i][v], gate + i * W + v * V));
}

template <class T>
using Tile = void (*)(const T*, std::ptrdiff_t, int, int, int, const T*, const T*, int, T*, const T*);

template <class T, int NV, class Walk, class Finish, int... I>
constexpr std::array<Tile<T>, sizeof...(I)> tiles_of(std::integer_sequence<int, I...>) {
  return {&tile<T, I + 1, NV, Walk, Finish>...};
}

// tiles<...>[MR - 1]
template <class T, int NV, class Walk, class Finish>
inline constexpr auto tiles = tiles_of<T, NV, Walk, Finish>(std::make_integer_sequence<int, tile_rows>{});

struct Keep {
  template <class T>
  static FALLLINE_INLINE Vec<T> apply(Vec<T> sum, const T*) {
    return sum;
  }
};
template <class Activation>
struct Activate {
  template <class T>
  static FALLLINE_INLINE Vec<T> apply(Vec<T> sum, const T*) {
    return Activation::template value<T>(sum);
  }
};
template <class Activation>
struct Gate {
  template <class T>
  static FALLLINE_INLINE Vec<T> apply(Vec<T> sum, const T* gate) {
    return Activation::template gradient<T>(sum, load(gate));
  }
};

template <class T>
inline constexpr T zeros[panel_width<T>] = {};

// Cuts `rows` into the fewest tiles of at most tile_rows, all of nearly the same height, and calls f(first, height).
template <class F>
FALLLINE_INLINE void spread(int rows, F f) {
  if (rows <= tile_rows) return f(0, rows);
  const int count = (rows + tile_rows - 1) / tile_rows;
  for (int i = 0, first = 0; i < count; ++i) {
    const int end =
        static_cast<int>(static_cast<unsigned>(rows) * static_cast<unsigned>(i + 1) / static_cast<unsigned>(count));
    f(first, end - first);
    first = end;
  }
}

// One row by P panels at a time: P times the sums under way that a tile of one row would have, which hides the latency
// of fma. Strides of b, c and gate are from panel to panel.
template <class T, int P, class Finish>
void row_of_panels(const T* a, std::ptrdiff_t a_stride, int depth, const T* b, const T* start, T* c,
                   std::ptrdiff_t c_stride, const T* gate, std::ptrdiff_t gate_stride) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  const std::ptrdiff_t b_stride = static_cast<std::ptrdiff_t>(depth) * W;
  Vec<T> acc[2 * P];
#pragma GCC unroll 8
  for (int i = 0; i < 2 * P; ++i) acc[i] = start ? load(start + i * V) : Vec<T>{};
  for (int k = 0; k < depth; ++k, b += W) {
    const Vec<T> x = broadcast(a[k / W * a_stride + k % W]);
#pragma GCC unroll 8
    for (int i = 0; i < 2 * P; ++i) acc[i] = fma(x, load(b + i / 2 * b_stride + i % 2 * V), acc[i]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 2 * P; ++i)
    store(c + i / 2 * c_stride + i % 2 * V, Finish::template apply<T>(acc[i], gate + i / 2 * gate_stride + i % 2 * V));
}

template <class T, class Finish>
void one_row_product(const RowsProduct<T>& p, int row) {
  constexpr int W = panel_width<T>;
  const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * W;
  for (int n = 0; n < p.n;) {
    T* c = p.c.data + n / W * p.c.stride + at;
    const bool gated = p.gate.data != nullptr;
    const T* gate = gated ? p.gate.data + n / W * p.gate.stride + at : c;
    const auto run = [&](auto row_of, int panels) {
      row_of(p.a.data + at, p.a.stride, p.depth, p.b + static_cast<std::ptrdiff_t>(n) * p.depth,
             p.start ? p.start + n : nullptr, c, p.c.stride, gate, gated ? p.gate.stride : p.c.stride);
      n += panels * W;
    };
    if (p.n - n > 3 * W)
      run(row_of_panels<T, 4, Finish>, 4);
    else if (p.n - n > W)
      run(row_of_panels<T, 2, Finish>, 2);
    else
      run(row_of_panels<T, 1, Finish>, 1);
  }
}

// The product on rows [begin, end), Finish applied to each element when its sum is complete.
template <class T, class Finish>
void rows_product(const RowsProduct<T>& p, int begin, int end) {
  constexpr int W = panel_width<T>;
  if (end - begin == 1) return one_row_product<T, Finish>(p, begin);
  for (int top = begin; top < end; top += row_block) {
    const int rows = std::min(row_block, end - top);
    // Blocks of equal depth, in whole panels of A.
    const int blocks = p.depth > depth_block ? (p.depth + depth_block - 1) / depth_block : 1;
    const int block = std::max((p.depth + blocks - 1) / blocks + W - 1, W) / W * W;
    for (int k = 0; k < p.depth || k == 0; k += block) {
      const int depth = std::min(block, p.depth - k);
      const bool final = k + depth == p.depth;
      const T* a = p.a.data + k / W * p.a.stride + static_cast<std::ptrdiff_t>(top) * W;
      for (int n = 0; n < p.n; n += W) {
        const bool narrow = p.n - n <= lanes<T>;
        const auto& finished = narrow ? tiles<T, 1, AlongColumns, Finish> : tiles<T, 2, AlongColumns, Finish>;
        const auto& partial = narrow ? tiles<T, 1, AlongColumns, Keep> : tiles<T, 2, AlongColumns, Keep>;
        const auto& use = final ? finished : partial;
        const T* b = p.b + static_cast<std::ptrdiff_t>(n) * p.depth + static_cast<std::ptrdiff_t>(k) * W;
        T* c = p.c.data + n / W * p.c.stride + static_cast<std::ptrdiff_t>(top) * W;
        const T* gate = p.gate.data ? p.gate.data + n / W * p.gate.stride + static_cast<std::ptrdiff_t>(top) * W : c;
        const T* bias = p.start ? p.start + n : zeros<T>;
        spread(rows, [&](int first, int height) {
          const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(first) * W;
          use[static_cast<std::size_t>(height - 1)](a + at, p.a.stride, depth / W, W, depth % W, b, k ? c + at : bias,
                                                    k ? W : 0, c + at, gate + at);
        });
      }
    }
  }
}

// Columns of the gradient beyond the last are zero, whatever delta holds there.
template <class T>
void clear_padding(const WeightGradient<T>& p) {
  constexpr int W = panel_width<T>;
  if (p.columns <= lanes<T>)
    for (int k = 0; k < p.end - p.begin; ++k) store(p.g + k * W + lanes<T>, Vec<T>{});
  if (p.columns % lanes<T> == 0) return;
  const int last = p.columns / lanes<T> * lanes<T>;  // the register where the columns end
  for (T* g = p.g + last; g < p.g + (p.end - p.begin) * W; g += W) store(g, first_lanes<T>(load(g), p.columns - last));
}

// The gradient of one strip of weights, summed over the batch in the order of its rows.
template <class T>
void weight_gradient(const WeightGradient<T>& p) {
  constexpr int W = panel_width<T>;
  const auto& use = p.columns <= lanes<T> ? tiles<T, 1, AlongRows, Keep> : tiles<T, 2, AlongRows, Keep>;
  for (int top = 0; top < p.rows; top += gradient_rows) {
    const int rows = std::min(gradient_rows, p.rows - top);
    for (int k = p.begin; k < p.end;) {
      const int columns = std::min(W - k % W, p.end - k);  // a tile must not leave its panel of x
      const T* x = p.x.data + k / W * p.x.stride + static_cast<std::ptrdiff_t>(top) * W + k % W;
      T* g = p.g + static_cast<std::ptrdiff_t>(k - p.begin) * W;
      spread(columns, [&](int first, int height) {
        T* c = g + first * W;
        use[static_cast<std::size_t>(height - 1)](x + first, 0, 0, 0, rows,
                                                  p.delta + static_cast<std::ptrdiff_t>(top) * W,
                                                  top == 0 ? zeros<T> : c, top == 0 ? 0 : W, c, c);
      });
      k += columns;
    }
  }
  clear_padding(p);
}

// Sums of one panel's columns over the rows, in their order: the gradient of a bias.
template <class T>
void column_sums(const T* delta, int columns, int rows, T* sums) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  Vec<T> low{}, high{};
  for (int r = 0; r < rows; ++r, delta += W) {
    low = low + load(delta);
    high = high + load(delta + V);
  }
  store(sums, first_lanes<T>(low, columns));
  store(sums + V, first_lanes<T>(high, columns - V));
}

// Lanes of a and b in turn: of their lower halves, or of their upper ones.
template <class T, int... I>
FALLLINE_INLINE Vec<T> interleave(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>, std::true_type /*lower*/) {
  return __builtin_shufflevector(a, b, (I / 2 + I % 2 * lanes<T>)...);
}
template <class T, int... I>
FALLLINE_INLINE Vec<T> interleave(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>, std::false_type) {
  return __builtin_shufflevector(a, b, (lanes<T> / 2 + I / 2 + I % 2 * lanes<T>)...);
}

// A square of V x V elements: each round interleaves row i with row i + V/2, and log2(V) rounds make the transpose.
template <class T>
FALLLINE_INLINE void transpose_square(Vec<T> (&row)[lanes<T>]) {
  constexpr int V = lanes<T>;
  using Lanes = std::make_integer_sequence<int, V>;
#pragma GCC unroll 4
  for (int round = 1; round < V; round *= 2) {
    Vec<T> next[V];
#pragma GCC unroll 16
    for (int i = 0; i < V / 2; ++i) {
      next[2 * i] = interleave<T>(row[i], row[i + V / 2], Lanes{}, std::true_type{});
      next[2 * i + 1] = interleave<T>(row[i], row[i + V / 2], Lanes{}, std::false_type{});
    }
#pragma GCC unroll 16
    for (int i = 0; i < V; ++i) row[i] = next[i];
  }
}

// Rows [begin, end) of one panel of weights w [rows][W] into columns of the transposed panels [k/W][N][W]; begin is a
// multiple of W, `transposed` points at this panel's first row there.
template <class T>
void transpose(const T* w, int begin, int end, int columns, T* transposed, std::ptrdiff_t panel_stride) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  for (int k = begin; k < end; k += V)
    for (int n = 0; n < columns; n += V) {
      Vec<T> row[V];
      for (int i = 0; i < V; ++i) row[i] = k + i < end ? load(w + (k - begin + i) * W + n) : Vec<T>{};
      transpose_square<T>(row);
      T* out = transposed + k / W * panel_stride + n * W + k % W;
      for (int i = 0; i < std::min(V, columns - n); ++i) store(out + i * W, row[i]);
    }
}

}  // namespace
}  // namespace fallline
