// A network at rest: predictions, losses and gradients of rows.
#pragma once

#include <stdexcept>
#include <string>

#include "network/step.h"

namespace fallline {

struct NonFiniteLoss : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// From a batch that Step found not to be finite, first in `cause`.
[[noreturn]] void report_not_finite(const char* operation, const std::string& cause, const std::string& where);

// Rows that go through all layers together outside training.
inline constexpr int inference_block = 128;

// Of the rows so far: what their mean loss is made of.
struct LossSums {
  double loss = 0, weight = 0;
  double penalty = 0;  // mean over batches, by their weights

  // A batch, with its penalty before the update. One that stays the same is kept exactly.
  template <class T>
  void add(const Step<T>& step) {
    loss += step.loss_sum();
    weight += step.weight_sum();
    if (weight > 0) penalty += (step.penalty() - penalty) * step.weight_sum() / weight;
  }

  // All rows of the data, in their order, with the weighted loss of each.
  template <class T>
  void add(const Data<T>& data, const double* losses) {
    for (std::int64_t r = 0; r < data.rows; ++r) loss += losses[r];
    for (T w : data.weights) weight += static_cast<double>(w);
    if (data.weights.empty()) weight += static_cast<double>(data.rows);
  }

  double mean(const Objective& objective) const { return objective.total(loss, weight) + penalty; }
};

// Rows [first, first + rows) of x and y, at most inference_block, into a workspace.
template <class T>
void gather_rows(const Network<T>& network, const Data<T>& data, std::int64_t first, int rows, Workspace<T>& work);

// The weighted loss of each of the rows that were gathered; predictions (rows, outputs) may be nullptr.
template <class T>
void losses_of_rows(const Network<T>& network, const Data<T>& data, std::int64_t first, int rows, Workspace<T>& work,
                    T* predictions, double* loss);

// Mean loss over all rows, penalties included, without dropout; predictions (n, outputs) may be nullptr.
template <class T>
double evaluate(Network<T>& network, const Data<T>& data, T* predictions);

// The same for who reads or changes the network.
template <class T>
double mean_loss(Network<T>& network, const Data<T>& data, T* predictions);

// Adds the rows to the sums, in their order. For who reads or changes the network.
template <class T>
void add_losses(Network<T>& network, const Data<T>& data, T* predictions, LossSums& sums);

// What the last layer puts out for each row of x, to out (n, outputs).
template <class T>
void predict(Network<T>& network, Source x, std::int64_t rows, T* out);

// Loss of the batch and its gradient, in the arena of `gradient`.
template <class T>
double loss_and_gradient(Network<T>& network, const Data<T>& data, Buffer<T>& gradient);

}  // namespace fallline
