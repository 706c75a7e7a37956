// Parameters in arenas: weights, gradients and optimizer state share one layout, packed panel by panel as the kernels
// read them. Plain matrices exist only at the border.
#pragma once

#include <string>
#include <vector>

#include "network/buffer.h"
#include "network/spec.h"

namespace fallline {

// A matrix (rows, columns); a vector is one row. Element (r, c) lies at offset + (c / W * rows + r) * W + c % W.
struct Parameter {
  int layer;  // as the user counts them
  std::string name;
  int rows, columns;
  bool vector;
  double l1, l2;          // penalties
  bool proximal;          // the l1 penalty acts by soft thresholding instead of through the gradient
  double max_norm;        // of each column; 0: none
  bool trainable = true;  // false for what a layer keeps but does not learn by gradients
  std::ptrdiff_t offset = 0;

  // With what the layer's spec says of it, e.g. "kernel_l2"; its "prefix" becomes part of the name.
  Parameter(int of_layer, const std::string& its_name, int its_rows, int its_columns, bool is_vector, const Spec& spec);

  std::ptrdiff_t panel_size(int width) const { return static_cast<std::ptrdiff_t>(rows) * width; }
  std::ptrdiff_t size(int width) const { return (columns + width - 1) / width * panel_size(width); }
};

// Rows [begin, end) of one panel of a parameter: what one thread computes, updates and keeps in its cache.
struct Strip {
  int layer;  // as the network counts them
  int parameter;
  int role;    // which of its layer's parameters
  int column;  // first of the panel
  int begin, end;
  std::ptrdiff_t offset;  // in the arena
  std::ptrdiff_t size;
};

// f(index in the plain matrix, index in the arena) for each element.
template <class F>
void each_element(const Parameter& p, int width, F f) {
  for (int r = 0; r < p.rows; ++r)
    for (int c = 0; c < p.columns; ++c)
      f(static_cast<std::ptrdiff_t>(r) * p.columns + c,
        p.offset + c / width * p.panel_size(width) + static_cast<std::ptrdiff_t>(r) * width + c % width);
}

template <class T>
void pack(const Parameter& parameter, int width, const T* matrix, T* arena);
template <class T>
void unpack(const Parameter& parameter, int width, const T* arena, T* matrix);

// All strips of a parameter, cut into at most `rows` rows (a multiple of the panel width).
void append_strips(const Parameter& parameter, int index, int layer, int role, int width, int rows,
                   std::vector<Strip>& strips);

}  // namespace fallline
