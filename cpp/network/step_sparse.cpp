// What a step does for a batch that never changes: zeros in it need not be multiplied each time.
#include <algorithm>
#include <utility>

#include "network/step.h"
#include "runtime/signals.h"

namespace fallline {

// Zeros are left out if at most this share of the elements remains, and no more elements than that: kept by rows and by
// columns they take 64 MB of float32, whatever the data.
constexpr double largest_share = 0.6, most_nonzeros = 1 << 23;

template <class T>
void Step<T>::keep(const std::int64_t* index, int rows) {
  const int first = network_.lowest_trained();
  if (first == network_.depth() || !network_.layer(first).takes_nonzeros()) return;
  for (int i = 0; i < first; ++i) {
    const Layer<T>& layer = network_.layer(i);
    if (layer.foreign() || layer.needs_whole_batch() || layer.only_in_training() || layer.prepares()) return;
  }
  for (int i = first; i < network_.depth(); ++i)
    if (const int partner = network_.layer(i).partner; partner >= 0 && partner < first) return;

  const Place<T>& place = work_.places[static_cast<std::size_t>(first)];
  const int inputs = network_.layer(first).inputs();
  std::vector<Nonzeros<T>> all_rows;
  double size = 0;
  for (int done = 0, together; done < rows; done += together) {
    handle_signals();
    together = std::min(capacity_, rows - done);
    const Pass pass{true, network_.seed(), 0, done, 0, together, together};
    network_.layer(0).read(data_.x, index + done, work_.x, 0, together);
    for (int i = 0; i < first; ++i) network_.layer(i).forward(pass, work_.places[static_cast<std::size_t>(i)]);
    size += all_rows.emplace_back(kernels_, place.x, together, inputs).size();
    const double all = static_cast<double>(inputs) * (done + together);
    if (size > std::min(largest_share * all, most_nonzeros)) return;
  }
  nonzeros_ = std::move(all_rows);
  for (const Nonzeros<T>& each : nonzeros_) sparse_places_.emplace_back(place).nonzeros = &each;
  sparse_layer_ = first;
}

template void Step<float>::keep(const std::int64_t*, int);
template void Step<double>::keep(const std::int64_t*, int);

}  // namespace fallline
