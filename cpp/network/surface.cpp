#include "network/surface.h"

#include <numeric>

#include "network/evaluation.h"

namespace fallline {

template <class T>
Surface<T>::Surface(Network<T>& network, std::shared_ptr<const Data<T>> data)
    : network_(network),
      data_(std::move(data)),
      order_(static_cast<std::size_t>(data_->rows)),
      look_every_(1 + static_cast<std::int64_t>(flops_between_looks /
                                                (network.flops_per_row() * static_cast<double>(data_->rows) + 1))) {
  network_.end_epoch();
  std::iota(order_.begin(), order_.end(), 0);
  std::vector<bool> learns(network.parameters().size());
  for (const Strip& strip : network.strips()) learns[static_cast<std::size_t>(strip.parameter)] = true;
  const int width = kernels<T>().panel_width;
  for (std::size_t i = 0; i < learns.size(); ++i)
    if (learns[i])
      each_element(network.parameters()[i], width,
                   [&](std::ptrdiff_t, std::ptrdiff_t packed) { places_.push_back(packed); });
}

template <class T>
void Surface<T>::get(double* x) const {
  for (std::size_t i = 0; i < places_.size(); ++i) x[i] = static_cast<double>(network_.weights()[places_[i]]);
}

template <class T>
void Surface<T>::set(const double* x) {
  for (std::size_t i = 0; i < places_.size(); ++i) network_.weights()[places_[i]] = static_cast<T>(x[i]);
  for (const Strip& strip : network_.strips()) network_.layer(strip.layer).refresh(strip);
}

template <class T>
void Surface<T>::round(double* x) const {
  for (std::size_t i = 0; i < places_.size(); ++i) x[i] = static_cast<double>(static_cast<T>(x[i]));
}

template <class T>
double Surface<T>::value(const double* x) {
  if (--until_look_ == 0) {
    until_look_ = look_every_;
    handle_signals();
  }
  set(x);
  T* const no_predictions = nullptr;
  if (data_->rows > inference_block) return mean_loss(network_, *data_, no_predictions);
  const int rows = static_cast<int>(data_->rows);
  if (!few_) gather_rows(network_, *data_, 0, rows, few_.emplace(network_, rows, false));
  losses_of_rows(network_, *data_, 0, rows, *few_, no_predictions, few_->loss.data());
  LossSums sums;
  sums.add(*data_, few_->loss.data());
  return network_.objective().total(sums.loss, sums.weight) + network_.penalty();
}

template <class T>
double Surface<T>::value_and_gradient(const double* x, double* gradient) {
  using Result = typename Step<T>::Result;
  const int rows = static_cast<int>(data_->rows);
  if (!step_) {
    auto step = std::make_unique<Step<T>>(network_, *data_, rows, GradientRoute::arena);
    step->keep(order_.data(), rows);
    step_ = std::move(step);
  }
  set(x);
  auto result = Result::done;
  network_.step_threads.run(step_->load(rows), [&](Team& team, int thread) {
    if (thread == 0) step_->plan(team.size());
    team.barrier(thread);
    if (team.broken()) return;
    const auto outcome = step_->gradients(team, thread, order_.data(), rows, network_.step);
    if (thread == 0) result = outcome;
  });
  if (result == Result::interrupted) throw Interrupted();
  const bool finite = result == Result::done;
  for (std::size_t i = 0; i < places_.size(); ++i)
    gradient[i] = finite ? static_cast<double>(step_->gradient_arena()[places_[i]]) : 0;
  return finite ? step_->loss() : std::numeric_limits<double>::quiet_NaN();
}

template <class T>
std::string Surface<T>::first_not_finite() {
  const int rows = static_cast<int>(data_->rows);
  return Step<T>(network_, *data_, rows, GradientRoute::arena).first_not_finite(order_.data(), rows);
}

template class Surface<float>;
template class Surface<double>;

}  // namespace fallline
