#include "network/trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "runtime/signals.h"

namespace fallline {

template <class T>
Trainer<T>::Trainer(Network<T>& network, std::shared_ptr<const Data<T>> data, int batch_size,
                    std::shared_ptr<Sampler> sampler, GradientRoute route, T* predictions)
    : network_(network),
      data_(std::move(data)),
      batch_size_(static_cast<int>(std::min<std::int64_t>(batch_size, data_->rows))),
      sampler_(std::move(sampler)),
      step_(network, *data_, batch_size_, route),
      order_(static_cast<std::size_t>(data_->rows)),
      look_every_(1 + static_cast<std::int64_t>(flops_between_looks / (network.flops_per_row() * batch_size_ + 1))) {
  network_.end_epoch();  // that of a fit in the process that forked this one
  step_.keep_predictions(predictions);
  if (predictions && sampler_->weighs()) drawn_weights_.resize(order_.size());
  step_.sample_by(*sampler_, order_.data(), drawn_weights_.empty() ? nullptr : drawn_weights_.data());
}

template <class T>
void Trainer<T>::begin_epoch() {
  sampler_->begin({network_.seed(), network_.epoch, order_.data(), network_.row, batch_size_});
  sums_ = {};
}

template <class T>
void Trainer<T>::resume(std::uint64_t epoch, std::int64_t row, LossSums sums) {
  if (row < 1 || row >= data_->rows || row % batch_size_ != 0)
    throw std::invalid_argument("Model.fit: the fit to go on with has used " + std::to_string(row) +
                                " rows of an epoch; expected whole batches of " + std::to_string(batch_size_) +
                                " of the " + std::to_string(data_->rows) + " rows");
  network_.epoch = epoch;
  network_.row = row;
  begin_epoch();
  sums_ = sums;
}

template <class T>
void Trainer<T>::set_drawn(const Drawn& drawn) {
  const auto done = static_cast<std::size_t>(network_.row);
  const bool inside = std::all_of(drawn.rows.begin(), drawn.rows.end(),
                                  [&](std::int64_t row) { return row >= 0 && row < data_->rows; });
  if (drawn.rows.size() != done || drawn.weights.size() != (drawn_weights_.empty() ? 0 : done) || !inside)
    throw std::invalid_argument("Model.fit: the fit to go on with has drawn " + std::to_string(drawn.rows.size()) +
                                " rows; expected " + std::to_string(done) + " of these, with their weights");
  std::copy(drawn.rows.begin(), drawn.rows.end(), order_.begin());
  std::copy(drawn.weights.begin(), drawn.weights.end(), drawn_weights_.begin());
}

template <class T>
double Trainer<T>::running_loss() const {
  return network_.row > 0 ? sums_.mean(network_.objective()) : std::numeric_limits<double>::quiet_NaN();
}

// Batches [done, last) of this run, to the end of the epoch or until a moment: one parallel region.
template <class T>
typename Step<T>::Result Trainer<T>::stretch(int threads, const std::vector<double>& rates, std::int64_t last,
                                             Clock::time_point until, std::int64_t& done) {
  auto result = Step<T>::Result::done;
  // Thread 0 looks at the clock after batch b, everyone acts on it after batch b + 1: no barrier of its own is needed.
  bool late[2] = {false, false};
  run_team(threads, [&](Team& team, int thread) {
    // Every thread walks through the same batches; the variables of thread 0 are the trainer's.
    std::int64_t row = network_.row, mine = done, until_look = look_every_;
    const std::uint64_t first = network_.step - static_cast<std::uint64_t>(done);
    if (thread == 0) step_.plan(team.size());
    team.barrier(thread);
    if (team.broken()) return;
    while (row < data_->rows && mine < last) {
      const int rows = static_cast<int>(std::min<std::int64_t>(batch_size_, data_->rows - row));
      const double rate = rates[rates.size() == 1 ? 0 : static_cast<std::size_t>(mine)];
      const auto number = first + static_cast<std::uint64_t>(mine);
      const auto outcome = step_.run(team, thread, order_.data() + row, rows, number, rate);
      if (outcome != Step<T>::Result::done) {
        if (thread == 0) result = outcome;
        return;
      }
      row += rows;
      ++mine;
      if (thread == 0) {
        ++network_.step;
        network_.row = row;
        sums_.add(step_);
        done = mine;
        if (--until_look == 0) {
          until_look = look_every_;
          late[mine & 1] = Clock::now() >= until || network_.guard.wanted() || signals_due();
        }
      }
      if (late[(mine + 1) & 1]) return;
    }
  });
  return result;
}

template <class T>
std::int64_t Trainer<T>::run(const std::vector<double>& rates, RunLimits limits, std::vector<double>& epoch_losses) {
  AccessGuard::Changing changing(network_.guard, "Model.fit");
  const auto after = [](double seconds) {
    return Clock::now() +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(seconds, 1e8)));
  };
  const auto deadline = after(limits.seconds);
  const auto last =
      std::min(limits.batches, rates.size() == 1 ? limits.batches : static_cast<std::int64_t>(rates.size()));

  std::int64_t done = 0;
  auto result = Step<T>::Result::done;
  const Load load = step_.load(batch_size_);
  while (done < last && limits.epochs > 0 && result == Step<T>::Result::done && Clock::now() < deadline) {
    changing.gap();
    std::optional<AccessGuard::Changing> sampling;  // not over the gap: who reads the network may read the sampler too
    if (LearningSampler* learning = sampler_->learning()) sampling.emplace(learning->guard, "Model.fit");
    if (network_.row == 0) begin_epoch();
    const std::int64_t before = done;
    const auto trial = network_.step_threads.begin(load);
    result = stretch(trial.threads(), rates, last, std::min(deadline, after(trial.seconds())), done);
    trial.end(load.flops * static_cast<double>(done - before));
    if (network_.row >= data_->rows) {
      epoch_losses.push_back(sums_.mean(network_.objective()));
      network_.end_epoch();
      --limits.epochs;
    }
  }
  if (result == Step<T>::Result::interrupted) throw Interrupted();
  if (result == Step<T>::Result::not_finite) {
    const int rows = static_cast<int>(std::min<std::int64_t>(batch_size_, data_->rows - network_.row));
    report_not_finite(
        "Model.fit", step_.first_not_finite(order_.data() + network_.row, rows),
        "epoch " + std::to_string(network_.epoch) + ", batch " + std::to_string(network_.row / batch_size_));
  }
  return done;
}

template <class T>
typename Step<T>::Result BatchTrainer<T>::update(Data<T> data, double learning_rate, T* predictions) {
  data_ = std::move(data);
  const int rows = static_cast<int>(data_.rows);
  if (!step_ || static_cast<int>(order_.size()) < rows || compilation_ != network_.compilations()) {
    order_.resize(static_cast<std::size_t>(rows));
    std::iota(order_.begin(), order_.end(), 0);
    step_.emplace(network_, data_, rows, GradientRoute::automatic);
    compilation_ = network_.compilations();
  }
  step_->keep_predictions(predictions);
  auto result = Step<T>::Result::done;
  network_.step_threads.run(step_->load(rows), [&](Team& team, int thread) {
    if (thread == 0) step_->plan(team.size());
    team.barrier(thread);
    if (team.broken()) return;
    const auto outcome = step_->run(team, thread, order_.data(), rows, network_.step, learning_rate);
    if (thread == 0) result = outcome;
  });
  if (result == Step<T>::Result::interrupted) throw Interrupted();
  if (result == Step<T>::Result::done) ++network_.step;
  return result;
}

template <class T>
double BatchTrainer<T>::train(Data<T> data, double learning_rate) {
  const AccessGuard::Fit fit(network_.guard, "Model.train_on_batch");
  const AccessGuard::Changing changing(network_.guard, "Model.train_on_batch");
  if (update(std::move(data), learning_rate, nullptr) == Step<T>::Result::not_finite)
    report_not_finite("Model.train_on_batch", first_not_finite(), "this batch");
  return step_->loss();
}

template <class T>
void StreamTrainer<T>::train(Data<T> data, double learning_rate, T* predictions) {
  const AccessGuard::Changing changing(network_.guard, "Model.fit");
  const auto rows = data.rows;
  if (batches_.update(std::move(data), learning_rate, predictions) == Step<T>::Result::not_finite)
    report_not_finite("Model.fit", batches_.first_not_finite(),
                      "epoch " + std::to_string(network_.epoch) + ", batch " + std::to_string(batch_));
  network_.row += rows;
  ++batch_;
  sums_.add(batches_.step());
}

template <class T>
void StreamTrainer<T>::resume(std::uint64_t epoch, std::int64_t row, std::int64_t batch, LossSums sums) {
  network_.epoch = epoch;
  network_.row = row;
  batch_ = batch;
  sums_ = sums;
}

template <class T>
double StreamTrainer<T>::running_loss() const {
  return network_.row > 0 ? sums_.mean(network_.objective()) : std::numeric_limits<double>::quiet_NaN();
}

template <class T>
double StreamTrainer<T>::finish_epoch() {
  const double loss = sums_.mean(network_.objective());
  network_.end_epoch();
  batch_ = 0;
  sums_ = {};
  return loss;
}

template class Trainer<float>;
template class Trainer<double>;
template class BatchTrainer<float>;
template class StreamTrainer<float>;
template class BatchTrainer<double>;
template class StreamTrainer<double>;

}  // namespace fallline
