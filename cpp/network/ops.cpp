#include "network/ops.h"

#include <algorithm>
#include <string>
#include <vector>

#include "network/workspace.h"
#include "runtime/dispatch.h"
#include "runtime/thread_tuner.h"

namespace fallline {
namespace {

ThreadTuner product_threads{worth_a_product};

template <class T>
int loss_index(const char* name) {
  const KernelTable<T>& table = kernels<T>();
  for (int i = 0; i < table.loss_count; ++i)
    if (std::string(table.losses[i].name) == name) return i;
  return -1;
}

}  // namespace

template <class T>
void product(Source a, Source b, const T* bias, int m, int k, int n, Elementwise<T> activation, T* out) {
  const KernelTable<T>& table = kernels<T>();
  const int width = table.panel_width, padded = (n + width - 1) / width * width;
  Buffer<T> packed(static_cast<std::ptrdiff_t>(padded) * k), start(padded);
  if (bias) std::copy_n(bias, n, start.data());
  PanelBuffer<T> x(k, m), y(n, m);
  product_threads.run({2.0 * m * k * n, static_cast<double>(m)}, [&](Team& team, int thread) {
    const auto cut = [&](int rows, int i) {
      return static_cast<int>(static_cast<std::int64_t>(rows) * i / team.size());
    };
    // Packed weights are panels whose rows are k.
    table.gather(b, nullptr, n, {packed.data(), static_cast<std::ptrdiff_t>(k) * width}, cut(k, thread),
                 cut(k, thread + 1));
    const int begin = cut(m, thread), end = cut(m, thread + 1);
    table.gather(a, nullptr, k, x, begin, end);
    team.barrier(thread);
    table.activations[activation.index].forward({x, k, packed.data(), start.data(), y, n, {}, activation.parameter},
                                                begin, end);
    table.scatter(y, n, out, nullptr, begin, end);
  });
}

template <class T>
void softmax_rows(Source z, int rows, int columns, T* y) {
  PanelBuffer<T> panels(columns, rows);
  kernels<T>().gather(z, nullptr, columns, panels, 0, rows);
  kernels<T>().softmax(panels, panels, columns, 0, rows);
  kernels<T>().scatter(panels, columns, y, nullptr, 0, rows);
}

template <class T>
void activate(Elementwise<T> activation, const T* x, std::ptrdiff_t n, T* y) {
  // A vector is one panel whose rows are panel_width long; its end goes through a panel of its own.
  const ActivationKernels<T>& kernel = kernels<T>().activations[activation.index];
  const int width = kernels<T>().panel_width;
  constexpr std::ptrdiff_t block = 1 << 20;  // rows are counted in int
  const std::ptrdiff_t whole = n / width;
  for (std::ptrdiff_t row = 0; row < whole; row += block)
    kernel.value({x + row * width, 0}, {y + row * width, 0}, width, activation.parameter, 0,
                 static_cast<int>(std::min(block, whole - row)));
  if (const std::ptrdiff_t rest = n - whole * width; rest > 0) {
    Buffer<T> last(width);
    std::copy_n(x + whole * width, rest, last.data());
    kernel.value({last.data(), 0}, {last.data(), 0}, width, activation.parameter, 0, 1);
    std::copy_n(last.data(), rest, y + whole * width);
  }
}

template <class T>
void activation_delta(Elementwise<T> activation, Source y, Source dy, int rows, int columns, T* delta) {
  const KernelTable<T>& table = kernels<T>();
  PanelBuffer<T> output(columns, rows), gradient(columns, rows);
  table.gather(y, nullptr, columns, output, 0, rows);
  table.gather(dy, nullptr, columns, gradient, 0, rows);
  if (activation.index < 0)
    table.softmax_gradient(output, gradient, columns, 0, rows);
  else
    table.activations[activation.index].gradient(output, gradient, columns, activation.parameter, 0, rows);
  table.scatter(gradient, columns, delta, nullptr, 0, rows);
}

template <class T>
double softmax_cross_entropy(Source logits, const std::int32_t* labels, Source probabilities, int rows, int columns,
                             T* gradient) {
  const KernelTable<T>& table = kernels<T>();
  PanelBuffer<T> y(columns, rows), dy(columns, rows), target(columns, labels ? 0 : rows);
  std::vector<double> loss(static_cast<std::size_t>(rows));
  table.gather(logits, nullptr, columns, y, 0, rows);
  if (!labels) table.gather(probabilities, nullptr, columns, target, 0, rows);
  const double label_smoothing = 0;
  table.losses[loss_index<T>("cross_entropy")].rows(
      {y, dy, target, labels, nullptr, 1.0 / rows, columns, loss.data(), &label_smoothing}, 0, rows);
  table.scatter(dy, columns, gradient, nullptr, 0, rows);
  double sum = 0;
  for (double l : loss) sum += l;
  return sum / rows;
}

#define FALLLINE_INSTANTIATE(T)                                                       \
  template void product(Source, Source, const T*, int, int, int, Elementwise<T>, T*); \
  template void softmax_rows(Source, int, int, T*);                                   \
  template void activate(Elementwise<T>, const T*, std::ptrdiff_t, T*);               \
  template void activation_delta(Elementwise<T>, Source, Source, int, int, T*);       \
  template double softmax_cross_entropy(Source, const std::int32_t*, Source, int, int, T*);
FALLLINE_INSTANTIATE(float)
FALLLINE_INSTANTIATE(double)
#undef FALLLINE_INSTANTIATE

}  // namespace fallline
