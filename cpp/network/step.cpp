#include "network/step.h"

#include <algorithm>
#include <cmath>

#include "runtime/interrupt.h"

namespace fallline {
namespace {

// Batches larger than this are taken in pieces, which bounds the memory for activations.
constexpr int largest_piece = 4096;
// Below this much work a thread costs more in waiting than it saves.
constexpr double flops_worth_a_thread = 1e5;
// Gradients that wait for their update in a thread's first-level cache.
constexpr std::ptrdiff_t cache_size = 2048;
// What updating one weight costs, in FLOPs of matrix product.
constexpr double flops_of_update = 60;

// The part [first, second) of n that falls to thread t of size.
std::pair<int, int> share(int n, int t, int size) {
  if (size == 1) return {0, n};
  const auto cut = [&](int i) { return static_cast<int>(static_cast<std::int64_t>(n) * i / size); };
  return {cut(t), cut(t + 1)};
}

}  // namespace

template <class T>
Step<T>::Step(Network<T>& network, const Data<T>& data, int batch_size, GradientRoute route)
    : network_(network),
      data_(data),
      kernels_(kernels<T>()),
      through_arena_(route == GradientRoute::arena || network.settings().clip_norm > 0 || batch_size > largest_piece),
      capacity_(std::min(batch_size, largest_piece)),
      work_(network, capacity_, true),
      penalties_(network.strips().size()),
      squares_(network.strips().size()) {
  if (through_arena_) gradient_ = Buffer<T>(network.arena_size());
  for (const Strip& strip : network.strips()) {
    const auto i = static_cast<std::size_t>(strip.layer);
    const Panels<const T> x = i == 0 ? work_.x : work_.y[i - 1], delta = work_.delta[i];
    strips_.push_back({strip, &network.layer(strip.layer), &network.parameter(strip), x, delta});
  }
}

template <class T>
int Step<T>::team_size() const {
  const double flops = network_.flops_per_row() * capacity_;
  return threads_for(std::min(flops / flops_worth_a_thread, static_cast<double>(capacity_)));
}

template <class T>
void Step<T>::plan(int threads) {
  interrupted_ = not_finite_ = false;
  if (static_cast<int>(first_strip_.size()) == threads + 1) return;
  const auto& strips = network_.strips();
  const auto cost = [&](const Strip& s) { return static_cast<double>(s.size) * (2.0 * capacity_ + flops_of_update); };
  double total = 0, done = 0;
  std::ptrdiff_t largest = cache_size;
  for (const Strip& s : strips) {
    total += cost(s);
    largest = std::max(largest, s.size);
  }
  // A strip belongs to the thread in whose share its middle falls.
  first_strip_.assign(static_cast<std::size_t>(threads) + 1, static_cast<int>(strips.size()));
  first_strip_[0] = 0;
  for (int i = 0, thread = 1; i < static_cast<int>(strips.size()); ++i) {
    const double middle = done + cost(strips[static_cast<std::size_t>(i)]) / 2;
    for (; thread < threads && middle >= total * thread / threads; ++thread)
      first_strip_[static_cast<std::size_t>(thread)] = i;
    done += cost(strips[static_cast<std::size_t>(i)]);
  }
  while (static_cast<int>(cache_.size()) < threads) cache_.emplace_back(largest);
}

template <class T>
double Step<T>::batch_weight(const std::int64_t* index, int rows) const {
  if (data_.weights.empty()) return rows;
  double sum = 0;
  for (int r = 0; r < rows; ++r) sum += static_cast<double>(data_.weights[static_cast<std::size_t>(index[r])]);
  return sum;
}

template <class T>
void Step<T>::rows_phase(Team& team, int thread, const std::int64_t* index, int first_row, int rows,
                         std::uint64_t number, double scale) {
  const auto [begin, end] = share(rows, thread, team.size());
  const Pass pass{true, network_.seed(), number, first_row, begin, end};
  const int depth = network_.trained_depth();
  const auto barrier_for = [&](const Layer<T>& layer) {
    if (layer.needs_whole_batch()) team.barrier(thread);
  };

  // The batch will be given up; barriers are still crossed.
  const auto interrupted = [&] {
    if (interrupt_count() > interrupts_) interrupted_.store(true, std::memory_order_relaxed);
    return interrupted_.load(std::memory_order_relaxed);
  };

  kernels_.gather(data_.x, index, network_.inputs(), work_.x, begin, end);
  Panels<T> y = work_.x;
  for (int i = 0; i < depth; ++i) {
    const Layer<T>& layer = network_.layer(i);
    barrier_for(layer);
    const Panels<T> x = y;
    y = work_.y[static_cast<std::size_t>(i)];
    if (!interrupted()) layer.forward(pass, x, y);
    barrier_for(layer);
  }

  const int outputs = network_.layer(depth - 1).outputs();
  const Objective& objective = network_.objective();
  if (predictions_ && objective.from_logits) kernels_.scatter(y, outputs, predictions_, index, begin, end);
  for (int r = begin; r < end; ++r) {
    const auto row = static_cast<std::size_t>(index[r]), slot = static_cast<std::size_t>(r);
    if (!data_.labels.empty()) work_.labels[slot] = data_.labels[row];
    if (!data_.weights.empty()) work_.weight[slot] = data_.weights[row];
  }
  if (data_.labels.empty()) kernels_.gather(data_.y, index, outputs, work_.target, begin, end);
  network_.loss_kernel().rows(
      {y, work_.delta[static_cast<std::size_t>(depth - 1)], work_.target,
       data_.labels.empty() ? nullptr : work_.labels.data(), data_.weights.empty() ? nullptr : work_.weight.data(),
       scale, outputs, work_.loss.data()},
      begin, end);
  if (predictions_ && !objective.from_logits) kernels_.scatter(y, outputs, predictions_, index, begin, end);
  for (int r = begin; r < end; ++r)
    if (!std::isfinite(work_.loss[static_cast<std::size_t>(r)])) not_finite_.store(true, std::memory_order_relaxed);

  for (int i = depth - 1; i > network_.lowest_trained(); --i) {
    const Layer<T>& layer = network_.layer(i);
    const auto k = static_cast<std::size_t>(i);
    barrier_for(layer);
    if (!interrupted())
      layer.backward(pass, work_.y[k], work_.delta[k], work_.delta[k - 1],
                     {network_.layer(i - 1).fused_activation(), work_.y[k - 1]});
    barrier_for(layer);
  }
}

// Updates strips [first, last), which lie one after the other in the arena; g is the gradient of the first.
template <class T>
void Step<T>::update(std::size_t first, std::size_t last, const T* g, const double* scalars, double learning_rate,
                     double scale) {
  const std::ptrdiff_t offset = strips_[first].strip.offset;
  const std::ptrdiff_t n = strips_[last - 1].strip.offset + strips_[last - 1].strip.size - offset;
  const OptimizerKernel<T>& rule = network_.rule();
  Update<T> u = network_.settings().update_of(network_.weights() + offset, g, n, scalars, learning_rate, scale);
  for (int k = 0; rule.slots[k]; ++k) u.slots[k] = network_.slot(k) + offset;
  rule.update(u);
  for (std::size_t i = first; i < last; ++i) strips_[i].layer->refresh(strips_[i].strip);
}

// Adds the penalty's share to a complete gradient and takes its square.
template <class T>
void Step<T>::finish_gradient(std::size_t i, T* g) {
  const auto& [strip, layer, parameter, x, delta] = strips_[i];
  const Parameter& p = *parameter;
  if (p.l1 != 0 || p.l2 != 0)
    penalties_[i] = kernels_.penalize(g, network_.weights() + strip.offset, strip.size, p.l1, p.l2);
  if (network_.settings().clip_norm > 0)
    squares_[i] = kernels_.sum_of_squares(g, strip.size, network_.settings().clip());
}

template <class T>
typename Step<T>::Result Step<T>::run(Team& team, int thread, const std::int64_t* index, int rows, std::uint64_t number,
                                      double learning_rate) {
  return accumulate(team, thread, index, rows, number, true, learning_rate);
}

template <class T>
typename Step<T>::Result Step<T>::gradients(Team& team, int thread, const std::int64_t* index, int rows,
                                            std::uint64_t number) {
  return accumulate(team, thread, index, rows, number, false, 0);
}

template <class T>
typename Step<T>::Result Step<T>::accumulate(Team& team, int thread, const std::int64_t* index, int rows,
                                             std::uint64_t number, bool updating, double learning_rate) {
  const bool finishing = network_.penalized() || network_.settings().clip_norm > 0;
  const auto first = static_cast<std::size_t>(first_strip_[static_cast<std::size_t>(thread)]);
  const auto last = static_cast<std::size_t>(first_strip_[static_cast<std::size_t>(thread) + 1]);
  const double weight = batch_weight(index, rows);
  const double scale = !network_.objective().mean ? 1 : weight > 0 ? 1 / weight : 0;
  double scalars[max_scalars] = {};
  if (updating)
    network_.rule().prepare(network_.settings().hyper.data(), learning_rate, static_cast<double>(number + 1), scalars);

  double loss_sum = 0;
  for (int done = 0; done < rows; done += capacity_) {
    const int piece = std::min(capacity_, rows - done);
    rows_phase(team, thread, index + done, done, piece, number, scale);
    team.barrier(thread);
    if (interrupted_.load(std::memory_order_relaxed)) return Result::interrupted;
    if (not_finite_.load(std::memory_order_relaxed)) return Result::not_finite;
    if (thread == 0)
      for (int r = 0; r < piece; ++r) loss_sum += work_.loss[static_cast<std::size_t>(r)];

    const bool complete = done + piece == rows;
    T* cache = cache_[static_cast<std::size_t>(thread)].data();
    for (std::size_t i = first; i < last;) {
      // Strips that follow one another in the arena and fit the cache together are updated in one go.
      const std::size_t start = i;
      const std::ptrdiff_t offset = strips_[i].strip.offset;
      for (std::ptrdiff_t end = offset; i < last; ++i) {
        const auto& [strip, layer, parameter, x, delta] = strips_[i];
        if (strip.offset != end || (i > start && end + strip.size > offset + cache_size)) break;
        T* g = through_arena_ ? gradient_.data() + strip.offset : cache + (strip.offset - offset);
        layer->gradient(strip, x, delta, piece, g, done > 0);
        if (complete && finishing) finish_gradient(i, g);
        end += strip.size;
      }
      if (!through_arena_) update(start, i, cache, scalars, learning_rate, 1);
    }
    team.barrier(thread);
  }

  if (thread == 0) {
    loss_sum_ = loss_sum;
    weight_sum_ = weight;
    penalty_ = 0;
    if (network_.penalized())
      for (double p : penalties_) penalty_ += p;
  }
  if (!through_arena_ || !updating) return Result::done;
  double clip = 1;
  if (network_.settings().clip_norm > 0) {
    double square = 0;
    for (double s : squares_) square += s;
    clip = network_.settings().norm_factor(square);
  }
  for (std::size_t i = first; i < last; ++i)
    update(i, i + 1, gradient_.data() + strips_[i].strip.offset, scalars, learning_rate, clip);
  team.barrier(thread);
  return Result::done;
}

template <class T>
int Step<T>::first_bad_layer(const std::int64_t* index, int rows) {
  const int width = kernels_.panel_width;
  int bad = network_.depth();  // as the network counts; -1 is the data
  for (int done = 0; done < rows; done += capacity_) {
    const int n = std::min(capacity_, rows - done);
    const auto finite = [&](Panels<const T> x, int columns) {
      for (int c = 0; c < columns; ++c)
        for (int r = 0; r < n; ++r)
          if (!std::isfinite(x.data[c / width * x.stride + static_cast<std::ptrdiff_t>(r) * width + c % width]))
            return false;
      return true;
    };
    const Pass pass{true, network_.seed(), network_.step, done, 0, n};
    kernels_.gather(data_.x, index + done, network_.inputs(), work_.x, 0, n);
    Panels<T> y = work_.x;
    if (!finite(y, network_.inputs())) return -1;
    for (int i = 0; i < bad; ++i) {
      const Panels<T> x = y;
      y = work_.y[static_cast<std::size_t>(i)];
      network_.layer(i).forward(pass, x, y);
      if (!finite(y, network_.layer(i).outputs())) bad = i;
    }
  }
  return network_.layer(std::min(bad, network_.depth() - 1)).index();
}

template class Step<float>;
template class Step<double>;

}  // namespace fallline
