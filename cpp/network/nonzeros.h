// A matrix that is mostly zeros, without them.
#pragma once

#include <algorithm>
#include <vector>

#include "network/row_sums.h"

namespace fallline {

template <class T>
class Nonzeros {
 public:
  // Of x (rows, columns): by rows for products, by the columns of each piece of the rows for gradients.
  Nonzeros(const KernelTable<T>& kernels, Panels<const T> x, int rows, int columns) {
    const int width = kernels.panel_width, height = kernels.tile_rows;
    std::vector<const T*> column;
    for (int c = 0; c < columns; ++c) column.push_back(x.data + c / width * x.stride + c % width);
    const auto element = [&](int r, int c) {
      return column[static_cast<std::size_t>(c)][static_cast<std::ptrdiff_t>(r) * width];
    };

    for (int begin = 0; begin < rows; begin += height) {
      const int lines = std::min(height, rows - begin);
      for (int c = 0; c < columns; ++c) rows_.add(c, lines, height, [&](int i) { return element(begin + i, c); });
      rows_.end();
    }
    const int each = (width + height - 1) / height;  // tiles of a panel
    for (int first = 0; first < rows; first += piece_rows) {
      Tiles& tiles = columns_.emplace_back();
      for (int panel = 0; panel < columns; panel += width)
        for (int i = 0; i < each; ++i) {
          const int begin = panel + width * i / each, end = std::min(panel + width * (i + 1) / each, columns);
          for (int r = 0; r < std::min(piece_rows, rows - first); ++r)
            tiles.add(r, end - begin, height, [&](int k) { return element(first + r, begin + k); });
          tiles.end();
        }
    }
  }

  SparseTiles<T> rows() const { return rows_; }
  // Of the piece that begins with this row.
  SparseTiles<T> columns(int row) const { return columns_[static_cast<std::size_t>(row / piece_rows)]; }
  // Elements that are kept, on average of both.
  double size() const {
    std::size_t by_columns = 0;
    for (const Tiles& tiles : columns_) by_columns += tiles.value.size();
    return static_cast<double>(rows_.value.size() + by_columns) / 2;
  }

 private:
  struct Tiles {
    std::vector<std::int64_t> first{0};
    std::vector<std::int32_t> position;
    std::vector<T> value;

    // The element of each line at this position, unless all are zero.
    template <class Element>
    void add(int at, int lines, int height, const Element& element) {
      int zeros = 0;
      while (zeros < lines && element(zeros) == T(0)) ++zeros;
      if (zeros >= lines) return;
      position.push_back(at);
      for (int i = 0; i < height; ++i) value.push_back(i < lines ? element(i) : T(0));
    }
    void end() { first.push_back(std::ssize(position)); }
    operator SparseTiles<T>() const { return {first.data(), position.data(), value.data()}; }
  };

  Tiles rows_;
  std::vector<Tiles> columns_;
};

}  // namespace fallline
