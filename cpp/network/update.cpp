#include "network/update.h"

#include <algorithm>

#include "runtime/dispatch.h"
#include "runtime/thread_tuner.h"

namespace fallline {
namespace {

// Elements that one thread takes at a time; sums of squares are added up chunk by chunk, on any number of threads.
constexpr std::ptrdiff_t chunk = 16384;

ThreadTuner update_threads{chunk * flops_of_update};

}  // namespace

template <class T>
void update_arrays(const OptimizerSettings& settings, const std::vector<UpdateArrays<T>>& arrays, double learning_rate,
                   std::int64_t t) {
  struct Chunk {
    const UpdateArrays<T>* array;
    std::ptrdiff_t begin, n;
    std::size_t first, last;  // chunks of the same array
  };
  std::vector<Chunk> chunks;
  std::ptrdiff_t total = 0;
  for (const auto& array : arrays) {
    const std::size_t first = chunks.size(), last = first + static_cast<std::size_t>((array.n + chunk - 1) / chunk);
    for (std::ptrdiff_t i = 0; i < array.n; i += chunk)
      chunks.push_back({&array, i, std::min(chunk, array.n - i), first, last});
    total += array.n;
  }
  const OptimizerKernel<T>& rule = kernels<T>().optimizers[settings.rule];
  double scalars[max_scalars] = {};
  rule.prepare(settings.hyper.data(), learning_rate, static_cast<double>(t), scalars);
  const double share = settings.average > 0 ? settings.average_share(static_cast<double>(t)) : 0;
  std::vector<Scaled> squares(settings.needs_norms() ? chunks.size() : 0);
  const double flops = static_cast<double>(total) * flops_of_update;
  update_threads.run({flops, static_cast<double>(chunks.size())}, [&](Team& team, int thread) {
    const std::size_t n = chunks.size(), size = static_cast<std::size_t>(team.size()),
                      self = static_cast<std::size_t>(thread);
    const std::size_t first = n * self / size, last = n * (self + 1) / size;
    const auto square_of = [&](const Chunk& c) {
      Scaled square{};
      for (std::size_t i = c.first; i < c.last; ++i) square = square + squares[i];
      return square;
    };
    Scaled factor{1, 0}, scale = factor;
    if (settings.needs_norms()) {
      for (std::size_t i = first; i < last; ++i)
        squares[i] = kernels<T>().sum_of_squares(chunks[i].array->g + chunks[i].begin, chunks[i].n, settings.clip());
      team.barrier(thread);
      Scaled square{};
      for (std::size_t i = 0; i < n; i = chunks[i].last) square = square + settings.shortened(square_of(chunks[i]));
      factor = settings.norm_factor(square);
    }
    for (std::size_t i = first; i < last; ++i) {
      const Chunk& c = chunks[i];
      if (settings.needs_norms() && (i == first || i == c.first)) scale = settings.layer_factor(square_of(c)) * factor;
      Update<T> u =
          settings.update_of<T>(c.array->w + c.begin, c.array->g + c.begin, c.n, scalars, learning_rate, scale);
      for (std::size_t k = 0; rule.slots[k]; ++k) u.slots[k] = c.array->slots[k] + c.begin;
      rule.update(u);
      if (settings.average > 0) kernels<T>().average(c.array->slots.back() + c.begin, u.w, c.n, share);
    }
  });
}

template void update_arrays(const OptimizerSettings&, const std::vector<UpdateArrays<float>>&, double, std::int64_t);
template void update_arrays(const OptimizerSettings&, const std::vector<UpdateArrays<double>>&, double, std::int64_t);

}  // namespace fallline
