// Products with a matrix that is mostly zeros and stays the same for many of them: the loop of gemm.h over the
// positions that count. Leaving out a product with zero changes no sum, so that the bits are those of gemm.h too.
#pragma once

#include "gemm.h"

namespace fallline {
namespace {

// One tile: MR lines and NV registers of C, C = start + the sum of value x B[position] over the entries.
template <class T, int MR, int NV>
void sparse_tile(const std::int32_t* position, const T* value, std::ptrdiff_t entries, const T* b, const T* start,
                 int start_row, T* c) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  Vec<T> acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v] = load(start + i * start_row + v * V);
#pragma GCC unroll 4
  for (std::ptrdiff_t e = 0; e < entries; ++e) {
    const T* row = b + static_cast<std::ptrdiff_t>(position[e]) * W;
    Vec<T> column[NV];
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) column[v] = load(row + v * V);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const Vec<T> x = broadcast(value[i]);
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(x, column[v], acc[i][v]);
    }
    value += tile_rows;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) store(c + i * W + v * V, acc[i][v]);
}

template <class T>
using AnySparseTile = void (*)(const std::int32_t*, const T*, std::ptrdiff_t, const T*, const T*, int, T*);

template <class T, int NV, int... I>
constexpr std::array<AnySparseTile<T>, sizeof...(I)> sparse_tiles_of(std::integer_sequence<int, I...>) {
  return {&sparse_tile<T, I + 1, NV>...};
}

// sparse_tiles<...>[MR - 1]
template <class T, int NV>
inline constexpr auto sparse_tiles = sparse_tiles_of<T, NV>(std::make_integer_sequence<int, tile_rows>{});

template <class T>
FALLLINE_INLINE void run_tile(const SparseTiles<T>& tiles, int t, int height, bool narrow, const T* b, const T* start,
                              int start_row, T* c) {
  const auto& use = narrow ? sparse_tiles<T, 1> : sparse_tiles<T, 2>;
  const std::int64_t first = tiles.first[t];
  use[static_cast<std::size_t>(height - 1)](tiles.position + first, tiles.value + first * tile_rows,
                                            tiles.first[t + 1] - first, b, start, start_row, c);
}

// c = start + a b on rows [begin, end); begin is a multiple of tile_rows, and so is end, or the last row.
template <class T>
void sparse_rows(const SparseTiles<T>& a, const RowsProduct<T>& p, int begin, int end) {
  constexpr int W = panel_width<T>;
  for (int row = begin; row < end; row += tile_rows)
    for (int n = 0; n < p.n; n += W)
      run_tile(a, row / tile_rows, std::min(tile_rows, end - row), p.n - n <= lanes<T>,
               p.b + static_cast<std::ptrdiff_t>(n) * p.depth, p.start ? p.start + n : zeros<T>, 0,
               p.c.data + n / W * p.c.stride + static_cast<std::ptrdiff_t>(row) * W);
}

// As weight_gradient, of x in tiles that `spread` cuts of each panel's columns; begin is a multiple of panel_width.
template <class T>
void sparse_gradient(const SparseTiles<T>& x, const WeightGradient<T>& p) {
  constexpr int W = panel_width<T>;
  constexpr int each = (W + tile_rows - 1) / tile_rows;  // tiles of a panel
  for (int k = p.begin; k < p.end; k += W)
    for (int i = 0; i < each; ++i) {
      const int first = k + W * i / each, last = std::min(k + W * (i + 1) / each, p.end);
      T* g = p.g + static_cast<std::ptrdiff_t>(first - p.begin) * W;
      if (first < last) run_tile(x, k / W * each + i, last - first, p.columns <= lanes<T>, p.delta, zeros<T>, 0, g);
    }
  clear_padding(p);
}

}  // namespace
}  // namespace fallline
