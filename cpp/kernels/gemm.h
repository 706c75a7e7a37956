// C += A * B on panels: the one loop that multiplies matrices. Forward, input gradient and weight gradient differ in how
// they walk A and in what becomes of a finished tile.
//
//   A: panels [k/W][rows][W], W = panel_width: element (r, k) at a[k/W * stride + r * W + k % W]
//   B: packed panels [n/W][k][W]
//   C: panels [n/W][rows][W]
//
// Each element of C is one chain of fma over k in rising order, whatever the tile, block or thread it falls in; that
// is what makes the bits independent of all three.
#pragma once

#include <algorithm>
#include <utility>

#include "activations.h"
#include "table.h"

namespace fallline {
namespace {

// MR x 2 accumulators, 2 registers of B and one broadcast of A fill the register file.
inline constexpr int tile_rows = (registers - 3) / 2;

// Depth of a product before the tile is put back: W columns of B to this depth fill half a first-level cache.
template <class T>
inline constexpr int depth_block = 16384 / (panel_width<T> * static_cast<int>(sizeof(T))) / panel_width<T> * panel_width<T>;
// Rows of A that stay in the second-level cache while the panels of B pass by.
inline constexpr int row_block = 192;
// Rows of a batch that a weight gradient takes at a time, so that its panels of x and delta stay in the first level.
inline constexpr int gradient_rows = 128;

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
void tile(const T* a, std::ptrdiff_t jump, int runs, int steps, int last, const T* b, const T* start, int start_row, T* c,
          const T* gate) {
  constexpr int W = panel_width<T>, V = lanes<T>, row = Walk::template row<T>, next = Walk::template next<T>;
  Vec<T> acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v] = load(start + i * start_row + v * V);
  for (int run = 0; run <= runs; ++run) {
    const int count = run < runs ? steps : last;
    const T* p = a + run * jump;
#pragma GCC unroll 2
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
  static FALLLINE_INLINE Vec<T> apply(Vec<T> sum, const T*) { return sum; }
};
template <class Activation>
struct Activate {
  template <class T>
  static FALLLINE_INLINE Vec<T> apply(Vec<T> sum, const T*) { return Activation::template value<T>(sum); }
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
  const int count = (rows + tile_rows - 1) / tile_rows;
  for (int i = 0, first = 0; i < count; ++i) {
    const int end = static_cast<int>(static_cast<std::int64_t>(rows) * (i + 1) / count);
    f(first, end - first);
    first = end;
  }
}

// The product on rows [begin, end), Finish applied to each element when its sum is complete.
template <class T, class Finish>
void rows_product(const RowsProduct<T>& p, int begin, int end) {
  constexpr int W = panel_width<T>;
  for (int top = begin; top < end; top += row_block) {
    const int rows = std::min(row_block, end - top);
    for (int k = 0; k < p.depth || k == 0; k += depth_block<T>) {
      const int depth = std::min(depth_block<T>, p.depth - k);
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
          use[static_cast<std::size_t>(height - 1)](a + at, p.a.stride, depth / W, W, depth % W, b, k ? c + at : bias, k ? W : 0,
                                                    c + at, gate + at);
        });
      }
    }
  }
}

// The gradient of one strip of weights, summed over the batch in the order of its rows.
template <class T>
void weight_gradient(const WeightGradient<T>& p) {
  constexpr int W = panel_width<T>;
  const auto& use = p.columns <= lanes<T> ? tiles<T, 1, AlongRows, Keep> : tiles<T, 2, AlongRows, Keep>;
  if (p.columns <= lanes<T> && !p.accumulate) std::fill(p.g, p.g + static_cast<std::ptrdiff_t>(p.end - p.begin) * W, T(0));
  for (int top = 0; top < p.rows; top += gradient_rows) {
    const int rows = std::min(gradient_rows, p.rows - top);
    const bool fresh = top == 0 && !p.accumulate;
    for (int k = p.begin; k < p.end;) {
      const int columns = std::min(W - k % W, p.end - k);  // a tile must not leave its panel of x
      const T* x = p.x.data + k / W * p.x.stride + static_cast<std::ptrdiff_t>(top) * W + k % W;
      T* g = p.g + static_cast<std::ptrdiff_t>(k - p.begin) * W;
      spread(columns, [&](int first, int height) {
        T* c = g + first * W;
        use[static_cast<std::size_t>(height - 1)](x + first, 0, 0, 0, rows, p.delta + static_cast<std::ptrdiff_t>(top) * W,
                                                  fresh ? zeros<T> : c, fresh ? 0 : W, c, c);
      });
      k += columns;
    }
  }
}

// Sums of one panel's columns over the rows, in their order: the gradient of a bias.
template <class T>
void column_sums(const T* delta, int columns, int rows, T* sums, bool accumulate) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  Vec<T> low = accumulate ? load(sums) : Vec<T>{}, high = accumulate ? load(sums + V) : Vec<T>{};
  for (int r = 0; r < rows; ++r, delta += W) {
    low = low + load(delta);
    high = high + load(delta + V);
  }
  store(sums, low);
  store(sums + V, high);
  std::fill(sums + columns, sums + W, T(0));
}

// Rows [begin, end) of one panel of weights w [rows][W] into columns of the transposed panels [k/W][N][W]; begin is a
// multiple of W, `transposed` points at this panel's first row there.
template <class T>
void transpose(const T* w, int begin, int end, int columns, T* transposed, std::ptrdiff_t panel_stride) {
  constexpr int W = panel_width<T>;
  for (int k = begin; k < end; k += W) {
    T* out = transposed + k / W * panel_stride;
    const int depth = std::min(W, end - k);
    for (int n = 0; n < columns; ++n)
      for (int i = 0; i < depth; ++i) out[n * W + i] = w[(k - begin + i) * W + n];
  }
}

}  // namespace
}  // namespace fallline
