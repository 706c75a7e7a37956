// The loop over batches and epochs between two calls from Python.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "network/evaluation.h"
#include "network/samplers/sampler.h"
#include "network/step.h"

namespace fallline {

struct RunLimits {
  std::int64_t epochs, batches;
  double seconds;
};

template <class T>
class Trainer {
 public:
  // For whose fit of the network it is. The sampler is of as many rows as the data.
  Trainer(Network<T>& network, std::shared_ptr<const Data<T>> data, int batch_size, std::shared_ptr<Sampler> sampler,
          GradientRoute route, T* predictions);
  ~Trainer() { network_.end_epoch(); }
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  std::int64_t batches_per_epoch() const { return (data_->rows + batch_size_ - 1) / batch_size_; }

  // Trains until a limit is reached. Throws Interrupted between two updates. rates holds one rate a batch, or a single
  // one for all. Appends the mean loss of each finished epoch; returns the batches done.
  std::int64_t run(const std::vector<double>& rates, RunLimits limits, std::vector<double>& epoch_losses);

  // Mean (or sum) of the losses so far in the running epoch; NaN before its first batch.
  double running_loss() const;

  // Of the running epoch.
  LossSums sums() const { return sums_; }
  // Goes on with an epoch that another trainer began, behind so many rows.
  void resume(std::uint64_t epoch, std::int64_t row, LossSums sums);

  // Where predictions are kept of rows that may repeat: the row at each place of the running epoch, or of the one that
  // ended last, and the weight of its loss, unless it is that of the data.
  struct Drawn {
    std::vector<std::int64_t> rows;
    std::vector<T> weights;
  };
  Drawn drawn() const { return {order_, drawn_weights_}; }
  // Of places before the present one, after resume(): as many as there are weights, if these are kept.
  void set_drawn(const Drawn& drawn);

 private:
  using Clock = std::chrono::steady_clock;

  typename Step<T>::Result stretch(int threads, const std::vector<double>& rates, std::int64_t last,
                                   Clock::time_point until, std::int64_t& done);
  void begin_epoch();

  Network<T>& network_;
  std::shared_ptr<const Data<T>> data_;
  int batch_size_;
  std::shared_ptr<Sampler> sampler_;
  Step<T> step_;
  std::vector<std::int64_t> order_;
  std::vector<T> drawn_weights_;
  std::int64_t look_every_;  // batches between two looks at the clock
  LossSums sums_;            // of the running epoch
};

// Single updates on batches given one by one, as in reinforcement learning; keeps its memory for the next batch.
template <class T>
class BatchTrainer {
 public:
  explicit BatchTrainer(Network<T>& network) : network_(network) {}
  // One update; returns the batch's loss before it. Throws Interrupted.
  double train(Data<T> data, double learning_rate);

  // The same for who changes the network. Throws Interrupted.
  typename Step<T>::Result update(Data<T> data, double learning_rate, T* predictions);
  Step<T>& step() { return *step_; }
  std::string first_not_finite() { return step_->first_not_finite(order_.data(), static_cast<int>(data_.rows)); }

 private:
  Network<T>& network_;
  Data<T> data_;
  std::vector<std::int64_t> order_;
  std::optional<Step<T>> step_;
  int compilation_ = 0;
};

// Epochs over batches given one by one; who gives them says where an epoch ends.
template <class T>
class StreamTrainer {
 public:
  // For whose fit of the network it is.
  explicit StreamTrainer(Network<T>& network) : network_(network), batches_(network) { network_.end_epoch(); }
  ~StreamTrainer() { network_.end_epoch(); }
  StreamTrainer(const StreamTrainer&) = delete;
  StreamTrainer& operator=(const StreamTrainer&) = delete;

  const Network<T>& network() const { return network_; }

  // One update; predictions (rows, outputs) may be nullptr. Throws Interrupted.
  void train(Data<T> data, double learning_rate, T* predictions);
  // Returns the mean loss of the epoch.
  double finish_epoch();

  double running_loss() const;
  LossSums sums() const { return sums_; }
  std::int64_t batch() const { return batch_; }
  void resume(std::uint64_t epoch, std::int64_t row, std::int64_t batch, LossSums sums);

 private:
  Network<T>& network_;
  BatchTrainer<T> batches_;
  std::int64_t batch_ = 0;  // of the running epoch
  LossSums sums_;
};

}  // namespace fallline
