// What a SIMD target offers to the rest of the engine: one table of function pointers per dtype.
// Everything above kernels/ sees only this file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "random.h"

namespace fallline {

// Element (r, c) of a matrix of activations: data[c / W * stride + r * W + c % W], W = panel_width.
template <class T>
struct Panels {
  T* data = nullptr;
  std::ptrdiff_t stride = 0;

  operator Panels<const T>() const { return {data, stride}; }
};

// c[r, :n] = f(start + a[r, :depth] * b), for rows of a batch. Forward: start is the bias, f the activation. Backward:
// b is the transposed kernel, f multiplies by the slope of the activation whose output is `gate`.
template <class T>
struct RowsProduct {
  Panels<const T> a;
  int depth;
  const T* b;      // packed [n/W][depth][W]
  const T* start;  // [n/W][W] or nullptr for zeros
  Panels<T> c;
  int n;
  Panels<const T> gate;
  T parameter = 0;  // of f
};

// g[k - begin, :] = sum over rows of x[r, k] * delta[r, panel], for k in [begin, end).
template <class T>
struct WeightGradient {
  Panels<const T> x;
  int begin, end;
  const T* delta;  // one panel [rows][W]
  int columns;     // of it that count; delta may hold anything in the others, where g is zero
  int rows;
  T* g;  // [end - begin][W]
};

// A matrix without its zeros, in tiles of lines, which are rows or columns: for each position where a line of the tile
// is not zero, the position and the elements of all its lines.
template <class T>
struct SparseTiles {
  const std::int64_t* first;     // entry of each tile, and the end
  const std::int32_t* position;  // [entries]
  const T* value;                // [entries][tile_rows]
};

// Loss and gradient of rows; see losses.h.
template <class T>
struct LossRows {
  Panels<T> y;                 // in: what the last layer put out (logits if fused); out: predictions
  Panels<T> dy;                // out: gradient, or data = nullptr
  Panels<const T> target;      // dense targets, or
  const std::int32_t* labels;  // classes
  const T* weight;             // of each row, or nullptr for ones
  double scale;                // of the gradient
  int outputs;
  double* loss;                   // of each row, weighted
  const double* hyper = nullptr;  // the loss's own numbers, in the order of LossKernel::hyper
};

inline constexpr int max_slots = 3;
inline constexpr int max_panel_width = 32;  // of any target and dtype
inline constexpr int max_scalars = 8;

// value 2^exponent, which may be beyond double.
struct Scaled {
  double value;
  int exponent;
};

// n elements, each rule's slots side by side. The gradient is clamped to [-clip, clip], multiplied by unit and scale,
// two factors since T may not hold their product, and gets l2 w added; then the weights shrink by `shrink` (decoupled
// decay) and the rule is applied.
template <class T>
struct Update {
  T* w;
  const T* g;
  T* slots[max_slots];
  std::ptrdiff_t n;
  const double* scalars;  // from prepare()
  double scale, clip, shrink, l2;
  double unit = 1;
};

template <class T>
struct ActivationKernels {
  const char* name;
  double parameter;  // where nobody chooses another
  bool from_input;   // its gradient is taken from its input, not from its output: it cannot be fused
  void (*forward)(const RowsProduct<T>&, int row_begin, int row_end);
  void (*backward)(const RowsProduct<T>&, int row_begin, int row_end);
  void (*value)(Panels<const T> x, Panels<T> y, int columns, T parameter, int row_begin, int row_end);
  // dy in place, from the activation's output or input `at`
  void (*gradient)(Panels<const T> at, Panels<T> dy, int columns, T parameter, int row_begin, int row_end);
};

template <class T>
struct LossKernel {
  const char* name;
  const char* fused_activation;  // the last activation it takes over, or nullptr
  bool takes_labels;
  const char* const* hyper;  // names, nullptr at the end
  void (*rows)(const LossRows<T>&, int row_begin, int row_end);
};

template <class T>
struct OptimizerKernel {
  const char* name;
  const char* const* hyper;  // names, nullptr at the end
  const char* const* slots;
  void (*prepare)(const double* hyper, double rate, double t, double* scalars);
  void (*update)(const Update<T>&);
};

enum class SourceType { float32, float64, uint8, int32, int64 };

// Rows of the user's array: element (r, c) at data + index[r] * row_stride + c * column_stride (bytes).
struct Source {
  const void* data;
  SourceType type;
  std::ptrdiff_t row_stride, column_stride;
};

template <class T>
struct KernelTable {
  int panel_width, tile_rows;
  const ActivationKernels<T>* activations;
  int activation_count;
  const LossKernel<T>* losses;
  int loss_count;
  const OptimizerKernel<T>* optimizers;
  int optimizer_count;
  void (*average)(T* average, const T* w, std::ptrdiff_t n, double share);

  void (*weight_gradient)(const WeightGradient<T>&);
  // The same products with the nonzeros of a, without f; of x.
  void (*sparse_rows)(const SparseTiles<T>& a, const RowsProduct<T>&, int row_begin, int row_end);
  void (*sparse_gradient)(const SparseTiles<T>& x, const WeightGradient<T>&);
  void (*column_sums)(const T* delta, int columns, int rows, T* sums);  // one panel
  void (*transpose)(const T* w, int begin, int end, int columns, T* transposed, std::ptrdiff_t panel_stride);
  double (*penalize)(T* g, const T* w, std::ptrdiff_t n, double l1, double l2, double l1_slope);
  void (*soft_threshold)(T* w, std::ptrdiff_t n, double threshold);
  void (*bound_norms)(T* w, int rows, double limit);  // one panel
  Scaled (*sum_of_squares)(const T* g, std::ptrdiff_t n, double clip);

  void (*gather)(const Source&, const std::int64_t* index, int columns, Panels<T> x, int row_begin, int row_end);
  void (*scatter)(Panels<const T> x, int columns, T* out, const std::int64_t* index, int row_begin, int row_end);
  void (*affine)(Panels<const T> x, const T* scale, const T* offset, Panels<T> y, int columns, int row_begin,
                 int row_end);
  void (*add)(Panels<const T> x, Panels<const T> z, Panels<T> y, int columns, int row_begin, int row_end);
  void (*softmax)(Panels<const T> z, Panels<T> y, int columns, int row_begin, int row_end);
  void (*softmax_gradient)(Panels<const T> y, Panels<T> dy, int columns, int row_begin, int row_end);  // in place
  void (*dropout)(Panels<const T> x, Panels<T> y, int columns, double rate, RandomKey key, int first_row, int row_begin,
                  int row_end);

  void (*prelu)(Panels<const T> x, const T* slope, Panels<T> y, int columns, int row_begin, int row_end);
  void (*prelu_gradient)(Panels<const T> x, const T* slope, Panels<const T> dy, Panels<T> dx, int columns,
                         int row_begin, int row_end);
  void (*prelu_slope_gradient)(const T* x, const T* dy, int rows, T* sums);  // one panel
  void (*largest_piece)(Panels<const T> x, Panels<T> y, int units, int pieces, int row_begin, int row_end);
  void (*largest_piece_gradient)(Panels<const T> x, Panels<const T> y, Panels<const T> dy, Panels<T> left, Panels<T> dx,
                                 int units, int pieces, int row_begin, int row_end);

  // One panel each.
  void (*column_products)(const T* x, const T* s, const T* z, const T* t, int rows, T* sums);
  void (*column_combine)(const T* x, const T* a, const T* z, const T* b, const T* d, int rows, T* y);

  void (*layer_norm)(Panels<const T> x, const T* gamma, const T* beta, double epsilon, Panels<T> y, int columns,
                     T* moments, int row_begin, int row_end);
  void (*layer_norm_gradient)(Panels<const T> x, const T* moments, const T* gamma, Panels<const T> dy, Panels<T> dx,
                              int columns, int row_begin, int row_end);
  void (*layer_norm_scale_gradient)(const T* x, const T* moments, const T* dy, int rows, T* sums);  // one panel

  void (*normals)(RandomKey key, T* out, std::ptrdiff_t n);

  // squares[r] += the squared norm of what row r contributes to a gradient.
  void (*add_dense_squares)(Panels<const T> x, int inputs, Panels<const T> delta, int units, bool bias, double* squares,
                            int row_begin, int row_end);
  void (*add_offset_squares)(Panels<const T> delta, int columns, double* squares, int row_begin, int row_end);
  void (*add_prelu_squares)(Panels<const T> x, Panels<const T> delta, int columns, bool shared, double* squares,
                            int row_begin, int row_end);
  void (*add_layer_norm_squares)(Panels<const T> x, const T* moments, Panels<const T> delta, int columns,
                                 double* squares, int row_begin, int row_end);
};

struct Target {
  const char* name;
  int vector_bytes;
  KernelTable<float> float32;
  KernelTable<double> float64;
};

#define FALLLINE_TARGET(name, flags, features, vector_bytes) const Target& table_##name();
#include "targets.def"
#undef FALLLINE_TARGET

}  // namespace fallline
