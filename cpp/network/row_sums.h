// Sums over the rows of a batch. Rows are summed one after the other in pieces of a fixed number of them, each from
// zero, and the pieces are added in a binary tree whose shape depends on their number alone. So the error grows with
// the height of the tree instead of with the rows, every way of taking a batch gives the same bits, and rows that begin
// and end at multiples of 2^k pieces are a subtree, wherever they are summed.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>

#include "kernels/table.h"

namespace fallline {

// The activations of so many rows stay in the nearer caches.
inline constexpr int piece_rows = 1120;

inline constexpr int pieces_of(int rows) { return (rows - 1) / piece_rows + 1; }
// Sums of subtrees that wait at the same time while the pieces of so many rows are added from first to last.
inline constexpr int waiting_sums(int rows) { return std::bit_width(static_cast<unsigned>(pieces_of(rows) - 1)); }
inline constexpr int most_waiting_sums = waiting_sums(std::numeric_limits<int>::max());

// Memory of the sums that wait: those of 2^level pieces at data + level * stride.
template <class T>
struct WaitingSums {
  T* data;
  std::ptrdiff_t stride;

  T* operator[](int level) const { return data + level * stride; }
};

// Goes on with the sum over `rows` rows: adds rows [begin, end), which are whole pieces or end with the last row.
// sum(first, last, g) makes that of some of them; `total` (n,), whole panels, holds the sum after the last.
template <class T, class Sum>
void add_rows(const KernelTable<T>& kernels, int begin, int end, int rows, T* total, std::ptrdiff_t n,
              WaitingSums<T> waiting, Sum sum) {
  for (int first = begin, last; first < end; first = last) {
    last = first + std::min(piece_rows, end - first);
    const auto before = static_cast<unsigned>(first / piece_rows);  // pieces; each of its bits is a subtree that waits
    const int joined = std::countr_one(before);
    T* const g = last == rows ? total : waiting[joined];
    sum(first, last, g);
    for (int level = 0; before >> level != 0; ++level)
      if ((before >> level & 1) != 0 && (last == rows || level < joined))
        kernels.add({waiting[level], 0}, {g, 0}, {g, 0}, kernels.panel_width, 0,
                    static_cast<int>(n / kernels.panel_width));
  }
}

}  // namespace fallline
