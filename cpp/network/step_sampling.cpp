// What a step does for a sampler that draws rows anew: they get its factors, and it hears of their gradients.
#include <algorithm>
#include <numeric>

#include "network/step.h"

namespace fallline {

template <class T>
void Step<T>::sample_by(Sampler& sampler, const std::int64_t* order, T* drawn_weights) {
  if (!sampler.repeats()) return;
  sampler_ = &sampler;
  order_ = order;
  drawn_weights_ = drawn_weights;
  const std::vector<T>& weights = data_.weights;
  if (!weights.empty())
    mean_weight_ = std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(weights.size());
  if (sampler.learning()) row_squares_.resize(static_cast<std::size_t>(capacity_));
}

template <class T>
T Step<T>::sampled_weight(std::int64_t row) const {
  const double weight = data_.weights.empty() ? 1 : static_cast<double>(data_.weights[static_cast<std::size_t>(row)]);
  return static_cast<T>(sampler_->weighs() ? weight * sampler_->factor(row) : weight);
}

// The squared norms of the gradients of the pass's rows, as they enter the batch's.
template <class T>
void Step<T>::measure_rows(const Pass& pass) {
  std::fill(row_squares_.begin() + pass.begin, row_squares_.begin() + pass.end, 0.0);
  for (int i = network_.lowest_trained(); i < network_.trained_depth(); ++i)
    if (!network_.layer(i).frozen)
      network_.layer(i).add_row_squares(pass, work_.places[static_cast<std::size_t>(i)], row_squares_.data());
}

// On one thread, once all rows in the workspace are through; the others may be updating weights.
template <class T>
void Step<T>::teach_sampler(const std::int64_t* index, int first_row, int rows, int of_batch) {
  // A row's gradient is its share of a mean times the rows of the batch.
  const double unit = network_.objective().mean ? static_cast<double>(of_batch) * of_batch : 1;
  for (int r = 0; r < rows; ++r) row_squares_[static_cast<std::size_t>(r)] *= unit;
  sampler_->learning()->observe(index + first_row, row_squares_.data(), rows, first_row + rows == of_batch);
}

template void Step<float>::sample_by(Sampler&, const std::int64_t*, float*);
template void Step<double>::sample_by(Sampler&, const std::int64_t*, double*);
template float Step<float>::sampled_weight(std::int64_t) const;
template double Step<double>::sampled_weight(std::int64_t) const;
template void Step<float>::measure_rows(const Pass&);
template void Step<double>::measure_rows(const Pass&);
template void Step<float>::teach_sampler(const std::int64_t*, int, int, int);
template void Step<double>::teach_sampler(const std::int64_t*, int, int, int);

}  // namespace fallline
