// The loop over batches and epochs between two calls from Python.
#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "network/claim.h"
#include "network/pace.h"
#include "network/step.h"

namespace fallline {

struct NonFiniteLoss : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct RunLimits {
  std::int64_t epochs, batches;
  double seconds;
};

template <class T>
class Trainer {
 public:
  Trainer(Network<T>& network, Data<T> data, int batch_size, bool shuffle, GradientRoute route, T* predictions);

  std::int64_t batches_per_epoch() const { return (data_.rows + batch_size_ - 1) / batch_size_; }

  // Trains until a limit is reached or an interrupt is pending. rates holds one rate a batch, or a single one for all.
  // Appends the mean loss of each finished epoch; returns the batches done.
  std::int64_t run(const std::vector<double>& rates, RunLimits limits, std::vector<double>& epoch_losses);

  // Mean (or sum) of the losses so far in the running epoch; NaN before its first batch.
  double running_loss() const;

 private:
  using Clock = std::chrono::steady_clock;

  typename Step<T>::Result stretch(int threads, const std::vector<double>& rates, std::int64_t last,
                                   Clock::time_point until, std::int64_t& done);
  void begin_epoch();
  double mean_loss() const;

  Network<T>& network_;
  Claim claim_;  // of the network's fits
  Data<T> data_;
  int batch_size_;
  bool shuffle_;
  Step<T> step_;
  std::vector<std::int64_t> order_;
  std::int64_t look_every_;  // batches between two looks at the clock
  Pace pace_;
  std::optional<std::uint64_t> ordered_epoch_;  // whose order it is
  double loss_ = 0, weight_ = 0, penalty_ = 0;  // of the running epoch
};

// Single updates on batches given one by one, as in reinforcement learning; keeps its memory for the next batch.
template <class T>
class BatchTrainer {
 public:
  explicit BatchTrainer(Network<T>& network) : network_(network) {}
  // One update; returns the batch's loss before it.
  double train(Data<T> data, double learning_rate);

 private:
  Network<T>& network_;
  Data<T> data_;
  std::vector<std::int64_t> order_;
  std::optional<Step<T>> step_;
  int compilation_ = 0;
};

// Mean loss over all rows, penalties included, without dropout; predictions (n, outputs) may be nullptr.
template <class T>
double evaluate(Network<T>& network, const Data<T>& data, T* predictions);

// What the last layer puts out for each row of x, to out (n, outputs).
template <class T>
void predict(Network<T>& network, Source x, std::int64_t rows, T* out);

// Loss of the batch and its gradient, in the arena of `gradient`.
template <class T>
double loss_and_gradient(Network<T>& network, const Data<T>& data, Buffer<T>& gradient);

}  // namespace fallline
