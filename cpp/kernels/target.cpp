// The one translation unit built per row of targets.def. It exports table_<target>() and nothing else: every kernel has
// internal linkage, so that no copy compiled for one CPU can be linked in place of another's.
#include "class_losses.h"
#include "constraints.h"
#include "gemm.h"
#include "losses.h"
#include "normalization.h"
#include "normals.h"
#include "pieces.h"
#include "row_squares.h"
#include "rows.h"
#include "sparse.h"
#include "table.h"
#include "update.h"

namespace fallline {
namespace {

// The tile applies the activation itself if that is cheap; otherwise it runs over the rows just written.
template <class T, class Activation>
void forward(const RowsProduct<T>& p, int begin, int end) {
  if constexpr (Activation::fused) return rows_product<T, Activate<Activation>>(p, begin, end);
  rows_product<T, Keep>(p, begin, end);
  activation_value<T, Activation>(p.c, p.c, p.n, p.parameter, begin, end);
}

template <class T, class Activation>
void backward(const RowsProduct<T>& p, int begin, int end) {
  if constexpr (Activation::fused) return rows_product<T, Gate<Activation>>(p, begin, end);
  rows_product<T, Keep>(p, begin, end);
  activation_gradient<T, Activation>(p.gate, p.c, p.n, p.parameter, begin, end);
}

template <class T, class... A>
const ActivationKernels<T>* activation_kernels(TypeList<A...>) {
  static constexpr ActivationKernels<T> kernels[] = {{A::name, default_parameter<A>(), from_input<A>(), forward<T, A>,
                                                      backward<T, A>, activation_value<T, A>,
                                                      activation_gradient<T, A>}...};
  return kernels;
}

template <class T, class... L, class... C>
const LossKernel<T>* loss_kernels(TypeList<L...>, TypeList<C...>) {
  static constexpr LossKernel<T> kernels[] = {
      {L::name, L::fused_activation, false, L::hyper, elementwise_loss<T, L>}...,
      {C::name, C::fused_activation, true, C::hyper, class_loss<T, C>}...};
  return kernels;
}

template <class T, class... R>
const OptimizerKernel<T>* optimizer_kernels(TypeList<R...>) {
  static constexpr OptimizerKernel<T> kernels[] = {{R::name, R::hyper, R::slots, R::prepare, update<T, R>}...};
  return kernels;
}

template <class T>
KernelTable<T> kernel_table() {
  static_assert(panel_width<T> <= max_panel_width);
  KernelTable<T> t{};
  t.panel_width = panel_width<T>;
  t.tile_rows = tile_rows;
  t.activations = activation_kernels<T>(Activations{});
  t.activation_count = Activations::size;
  t.losses = loss_kernels<T>(ElementwiseLosses{}, ClassLosses{});
  t.loss_count = ElementwiseLosses::size + ClassLosses::size;
  t.optimizers = optimizer_kernels<T>(Optimizers{});
  t.optimizer_count = Optimizers::size;
  t.average = average<T>;
  t.weight_gradient = weight_gradient<T>;
  t.sparse_rows = sparse_rows<T>;
  t.sparse_gradient = sparse_gradient<T>;
  t.column_sums = column_sums<T>;
  t.transpose = transpose<T>;
  t.penalize = penalize<T>;
  t.soft_threshold = soft_threshold<T>;
  t.bound_norms = bound_norms<T>;
  t.sum_of_squares = sum_of_squares<T>;
  t.gather = gather<T>;
  t.scatter = scatter<T>;
  t.affine = affine<T>;
  t.add = add<T>;
  t.softmax = softmax<T>;
  t.softmax_gradient = softmax_gradient<T>;
  t.dropout = dropout<T>;
  t.prelu = prelu<T>;
  t.prelu_gradient = prelu_gradient<T>;
  t.prelu_slope_gradient = prelu_slope_gradient<T>;
  t.largest_piece = largest_piece<T>;
  t.largest_piece_gradient = largest_piece_gradient<T>;
  t.column_products = column_products<T>;
  t.column_combine = column_combine<T>;
  t.layer_norm = layer_norm<T>;
  t.layer_norm_gradient = layer_norm_gradient<T>;
  t.layer_norm_scale_gradient = layer_norm_scale_gradient<T>;
  t.normals = normals<T>;
  t.add_dense_squares = add_dense_squares<T>;
  t.add_offset_squares = add_offset_squares<T>;
  t.add_prelu_squares = add_prelu_squares<T>;
  t.add_layer_norm_squares = add_layer_norm_squares<T>;
  return t;
}

}  // namespace

#define FALLLINE_JOIN(a, b) a##b
#define FALLLINE_TABLE(name) FALLLINE_JOIN(table_, name)

const Target& FALLLINE_TABLE(FALLLINE_TARGET_NAME)();
const Target& FALLLINE_TABLE(FALLLINE_TARGET_NAME)() {
#define FALLLINE_QUOTE(name) #name
#define FALLLINE_NAME(name) FALLLINE_QUOTE(name)
  static const Target target{FALLLINE_NAME(FALLLINE_TARGET_NAME), FALLLINE_VECTOR_BYTES, kernel_table<float>(),
                             kernel_table<double>()};
  return target;
}

}  // namespace fallline
