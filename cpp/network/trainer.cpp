#include "network/trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "network/shuffle.h"
#include "runtime/interrupt.h"

namespace fallline {
namespace {

// The clock is read once in this many FLOPs of work, a few microseconds.
constexpr double flops_between_looks = 2e5;

// Steps of this many FLOPs take about a millisecond, beside which waiting at barriers is little.
constexpr double flops_of_long_steps = 1e8;

// Rows that go through all layers together outside training.
constexpr int inference_block = 128;
// A reader takes part from about a tenth of a millisecond on: on a busy machine its start may take many times that.
constexpr double flops_worth_a_reader = 1e7;

Source from_row(Source source, std::int64_t row) {
  source.data = static_cast<const char*>(source.data) + row * source.row_stride;
  return source;
}

[[noreturn]] void report_not_finite(const char* operation, int layer, const std::string& where) {
  throw NonFiniteLoss(std::string(operation) + ": the loss is not finite in " + where + ", first in " +
                      (layer < 0 ? "the data" : "layer " + std::to_string(layer)) +
                      "; expected finite numbers (the weights are those from before this batch)");
}

}  // namespace

template <class T>
Trainer<T>::Trainer(Network<T>& network, Data<T> data, int batch_size, bool shuffle, GradientRoute route,
                    T* predictions)
    : network_(network),
      claim_(network.fits, Claim::writing, "Model.fit"),
      data_(std::move(data)),
      batch_size_(static_cast<int>(std::min<std::int64_t>(batch_size, data_.rows))),
      shuffle_(shuffle),
      step_(network, data_, batch_size_, route),
      order_(static_cast<std::size_t>(data_.rows)),
      look_every_(1 + static_cast<std::int64_t>(flops_between_looks / (network.flops_per_row() * batch_size_ + 1))),
      pace_(step_.team_size(), network.flops_per_row() * batch_size_ > flops_of_long_steps) {
  step_.keep_predictions(predictions);
  std::iota(order_.begin(), order_.end(), 0);
  if (network_.row >= data_.rows) network_.row = 0;
}

template <class T>
void Trainer<T>::begin_epoch() {
  if (ordered_epoch_ == network_.epoch) return;
  if (shuffle_) shuffle(network_.seed(), network_.epoch, order_);
  ordered_epoch_ = network_.epoch;
  sums_ = {};
  penalty_ = 0;
}

template <class T>
double Trainer<T>::mean_loss() const {
  return network_.objective().total(sums_.loss, sums_.weight) + penalty_;
}

template <class T>
double Trainer<T>::running_loss() const {
  return network_.row > 0 ? mean_loss() : std::numeric_limits<double>::quiet_NaN();
}

// Batches [done, last) of this run, to the end of the epoch or until a moment: one parallel region.
template <class T>
typename Step<T>::Result Trainer<T>::stretch(int threads, const std::vector<double>& rates, std::int64_t last,
                                             Clock::time_point until, std::int64_t& done) {
  const std::uint64_t interrupts = interrupt_count();
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
    while (row < data_.rows && mine < last) {
      const int rows = static_cast<int>(std::min<std::int64_t>(batch_size_, data_.rows - row));
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
        sums_.loss += step_.loss_sum();
        sums_.weight += step_.weight_sum();
        penalty_ = step_.penalty();
        done = mine;
        if (--until_look == 0) {
          until_look = look_every_;
          late[mine & 1] = Clock::now() >= until || interrupt_count() > interrupts;
        }
      }
      if (late[(mine + 1) & 1]) return;
    }
  });
  return result;
}

template <class T>
std::int64_t Trainer<T>::run(const std::vector<double>& rates, RunLimits limits, std::vector<double>& epoch_losses) {
  const Claim claim(network_.users, Claim::writing, "Model.fit");
  const InterruptScope scope;
  const std::uint64_t interrupts = interrupt_count();
  step_.stop_beyond(interrupts);
  const auto after = [](double seconds) {
    return Clock::now() +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(seconds, 1e8)));
  };
  const auto deadline = after(limits.seconds);
  const auto last =
      std::min(limits.batches, rates.size() == 1 ? limits.batches : static_cast<std::int64_t>(rates.size()));

  std::int64_t done = 0;
  auto result = Step<T>::Result::done;
  for (auto now = Clock::now(); done < last && limits.epochs > 0 && result == Step<T>::Result::done && now < deadline &&
                                interrupt_count() == interrupts;) {
    begin_epoch();
    const auto begun = now;
    const std::int64_t before = done;
    result = stretch(pace_.threads(), rates, last, std::min(deadline, after(pace_.seconds())), done);
    now = Clock::now();
    pace_.record(done - before, std::chrono::duration<double>(now - begun).count());
    if (network_.row >= data_.rows) {
      epoch_losses.push_back(mean_loss());
      network_.row = 0;
      ++network_.epoch;
      --limits.epochs;
    }
  }
  if (result == Step<T>::Result::not_finite) {
    const int rows = static_cast<int>(std::min<std::int64_t>(batch_size_, data_.rows - network_.row));
    report_not_finite(
        "Model.fit", step_.first_bad_layer(order_.data() + network_.row, rows),
        "epoch " + std::to_string(network_.epoch) + ", batch " + std::to_string(network_.row / batch_size_));
  }
  return done;
}

template <class T>
typename Step<T>::Result BatchTrainer<T>::update(Data<T> data, double learning_rate, T* predictions,
                                                 std::uint64_t interrupts) {
  data_ = std::move(data);
  const int rows = static_cast<int>(data_.rows);
  if (!step_ || static_cast<int>(order_.size()) < rows || compilation_ != network_.compilations()) {
    order_.resize(static_cast<std::size_t>(rows));
    std::iota(order_.begin(), order_.end(), 0);
    step_.emplace(network_, data_, rows, GradientRoute::automatic);
    pace_ = Pace(step_->team_size(), network_.flops_per_row() * rows > flops_of_long_steps);
    compilation_ = network_.compilations();
  }
  step_->keep_predictions(predictions);
  step_->stop_beyond(interrupts);
  auto result = Step<T>::Result::done;
  const auto begun = std::chrono::steady_clock::now();
  run_team(pace_.threads(), [&](Team& team, int thread) {
    if (thread == 0) step_->plan(team.size());
    team.barrier(thread);
    if (team.broken()) return;
    const auto outcome = step_->run(team, thread, order_.data(), rows, network_.step, learning_rate);
    if (thread == 0) result = outcome;
  });
  pace_.record(1, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  if (result == Step<T>::Result::done) ++network_.step;
  return result;
}

template <class T>
double BatchTrainer<T>::train(Data<T> data, double learning_rate) {
  const Claim fit(network_.fits, Claim::writing, "Model.train_on_batch");
  const Claim claim(network_.users, Claim::writing, "Model.train_on_batch");
  constexpr auto forever = std::numeric_limits<std::uint64_t>::max();
  if (update(std::move(data), learning_rate, nullptr, forever) == Step<T>::Result::not_finite)
    report_not_finite("Model.train_on_batch", first_bad_layer(), "this batch");
  return step_->loss();
}

template <class T>
StreamTrainer<T>::StreamTrainer(Network<T>& network)
    : network_(network), claim_(network.fits, Claim::writing, "Model.fit"), batches_(network) {
  network_.row = 0;
}

template <class T>
bool StreamTrainer<T>::train(Data<T> data, double learning_rate, T* predictions) {
  const Claim claim(network_.users, Claim::writing, "Model.fit");
  const InterruptScope scope;
  const auto rows = data.rows;
  switch (batches_.update(std::move(data), learning_rate, predictions, interrupt_count())) {
    case Step<T>::Result::interrupted:
      return false;
    case Step<T>::Result::not_finite:
      report_not_finite("Model.fit", batches_.first_bad_layer(),
                        "epoch " + std::to_string(network_.epoch) + ", batch " + std::to_string(batch_));
    case Step<T>::Result::done:
      break;
  }
  network_.row += rows;
  ++batch_;
  sums_.loss += batches_.step().loss_sum();
  sums_.weight += batches_.step().weight_sum();
  penalty_ = batches_.step().penalty();
  return true;
}

template <class T>
double StreamTrainer<T>::mean_loss() const {
  return network_.objective().total(sums_.loss, sums_.weight) + penalty_;
}

template <class T>
double StreamTrainer<T>::running_loss() const {
  return network_.row > 0 ? mean_loss() : std::numeric_limits<double>::quiet_NaN();
}

template <class T>
double StreamTrainer<T>::finish_epoch() {
  const double loss = mean_loss();
  network_.row = batch_ = 0;
  ++network_.epoch;
  sums_ = {};
  return loss;
}

// f(workspace with x filled, first row, rows) for blocks of rows, spread over a team.
template <class T, class F>
static void each_block(Network<T>& network, const Source& x, std::int64_t n, const char* operation, F f) {
  const Claim claim(network.users, Claim::reading, operation);
  const int block = static_cast<int>(std::min<std::int64_t>(inference_block, n));
  const std::int64_t blocks = (n + block - 1) / block;
  const double flops = network.flops_per_row() / 3 * static_cast<double>(n);
  const int threads =
      network.foreign() ? 1 : threads_for(std::min(flops / flops_worth_a_reader, static_cast<double>(blocks)));
  run_team(threads, [&](Team& team, int thread) {
    auto work = network.idle_workspaces().take(network, block);
    for (std::int64_t i = thread; i < blocks; i += team.size()) {
      const std::int64_t first = i * block;
      const int rows = static_cast<int>(std::min<std::int64_t>(block, n - first));
      kernels<T>().gather(from_row(x, first), nullptr, network.inputs(), work->x, 0, rows);
      f(*work, first, rows);
    }
    network.idle_workspaces().give(std::move(work));
  });
}

template <class T>
void add_losses(Network<T>& network, const Data<T>& data, T* predictions, LossSums& sums) {
  const Claim claim(network.users, Claim::reading, "Model.evaluate");
  const Objective& objective = network.objective();
  std::vector<double> loss(static_cast<std::size_t>(data.rows));
  const int outputs = network.outputs();
  each_block(network, data.x, data.rows, "Model.evaluate", [&](Workspace<T>& work, std::int64_t first, int rows) {
    const Panels<T> y = network.forward({false, 0, 0, 0, 0, rows}, work, network.trained_depth());
    const auto keep = [&] {
      if (predictions) kernels<T>().scatter(y, outputs, predictions + first * outputs, nullptr, 0, rows);
    };
    if (objective.from_logits) keep();
    if (data.labels.empty()) kernels<T>().gather(from_row(data.y, first), nullptr, outputs, work.target, 0, rows);
    network.loss_rows({y,
                       {},
                       work.target,
                       data.labels.empty() ? nullptr : data.labels.data() + first,
                       data.weights.empty() ? nullptr : data.weights.data() + first,
                       1.0,
                       outputs,
                       loss.data() + first,
                       objective.hyper.data()},
                      0, rows);
    if (!objective.from_logits) keep();
  });
  for (double l : loss) sums.loss += l;
  for (T w : data.weights) sums.weight += static_cast<double>(w);
  if (data.weights.empty()) sums.weight += static_cast<double>(data.rows);
}

template <class T>
double evaluate(Network<T>& network, const Data<T>& data, T* predictions) {
  const Claim claim(network.users, Claim::reading, "Model.evaluate");
  LossSums sums;
  add_losses(network, data, predictions, sums);
  return network.objective().total(sums.loss, sums.weight) + network.penalty();
}

template <class T>
void predict(Network<T>& network, Source x, std::int64_t rows, T* out) {
  const int outputs = network.outputs();
  each_block(network, x, rows, "Model.predict", [&](Workspace<T>& work, std::int64_t first, int n) {
    const Panels<T> y = network.forward({false, 0, 0, 0, 0, n}, work, network.depth());
    kernels<T>().scatter(y, outputs, out + first * outputs, nullptr, 0, n);
  });
}

template <class T>
double loss_and_gradient(Network<T>& network, const Data<T>& data, Buffer<T>& gradient) {
  constexpr const char* operation = "Model.loss_and_gradients";
  const Claim claim(network.users, network.foreign() ? Claim::writing : Claim::reading, operation);
  const int rows = static_cast<int>(data.rows);
  Step<T> step(network, data, rows, GradientRoute::arena);
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  auto result = Step<T>::Result::done;
  run_team(step.team_size(), [&](Team& team, int thread) {
    if (thread == 0) step.plan(team.size());
    team.barrier(thread);
    if (team.broken()) return;
    const auto outcome = step.gradients(team, thread, order.data(), rows, network.step);
    if (thread == 0) result = outcome;
  });
  if (result == Step<T>::Result::not_finite)
    report_not_finite(operation, step.first_bad_layer(order.data(), rows), "these rows");
  gradient = std::move(step.gradient_arena());
  return step.loss();
}

template void add_losses(Network<float>&, const Data<float>&, float*, LossSums&);
template void add_losses(Network<double>&, const Data<double>&, double*, LossSums&);
template double evaluate(Network<float>&, const Data<float>&, float*);
template double evaluate(Network<double>&, const Data<double>&, double*);
template void predict(Network<float>&, Source, std::int64_t, float*);
template void predict(Network<double>&, Source, std::int64_t, double*);
template double loss_and_gradient(Network<float>&, const Data<float>&, Buffer<float>&);
template double loss_and_gradient(Network<double>&, const Data<double>&, Buffer<double>&);
template class Trainer<float>;
template class Trainer<double>;
template class BatchTrainer<float>;
template class StreamTrainer<float>;
template class BatchTrainer<double>;
template class StreamTrainer<double>;

}  // namespace fallline
