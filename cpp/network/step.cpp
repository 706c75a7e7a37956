#include "network/step.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "runtime/signals.h"

namespace fallline {
namespace {

// Batches larger than this go through the layers piece by piece, which bounds the memory for activations.
constexpr int largest_batch = 4096;
// Gradients that wait for their update in a thread's first-level cache.
constexpr std::ptrdiff_t cache_size = 2048;

// The part [first, second) of n that falls to thread t of size, in whole grains.
std::pair<int, int> share(int n, int t, int size, int grain = 1) {
  if (size == 1) return {0, n};
  const std::int64_t grains = (n + grain - 1) / grain;
  const auto cut = [&](int i) { return std::min(static_cast<int>(grains * i / size) * grain, n); };
  return {cut(t), cut(t + 1)};
}

}  // namespace

template <class T>
Step<T>::Step(Network<T>& network, const Data<T>& data, int batch_size, GradientRoute route)
    : network_(network),
      data_(data),
      kernels_(kernels<T>()),
      through_arena_(route == GradientRoute::arena || network.settings().needs_norms() ||
                     (batch_size > largest_batch && !network.needs_whole_batch())),
      capacity_(through_arena_ && !network.needs_whole_batch() ? std::min(batch_size, piece_rows) : batch_size),
      long_(!network.foreign() && network.flops_per_row() * batch_size > long_work),
      work_(network, capacity_, true),
      waiting_sums_(waiting_sums(batch_size)),
      penalties_(network.strips().size()),
      squares_(network.strips().size()) {
  if (through_arena_) gradient_ = Buffer<T>(network.arena_size());
  if (capacity_ < batch_size) waiting_ = Buffer<T>(waiting_sums_ * network.arena_size());
  for (const Strip& strip : network.strips()) {
    const Parameter& p = network.parameter(strip);
    strips_.push_back({strip, &network.layer(strip.layer), &p, network.group(strip.parameter)});
  }
  for (const Strip& strip : network.all_strips())
    if (network.layer(strip.layer).prepares()) prepared_strips_.push_back(strip);
  for (int i = 0; i < network.depth(); ++i)
    if (network.layer(i).learns() && !network.layer(i).frozen) learning_.push_back(i);
}

template <class T>
Load Step<T>::load(int rows) const {
  const int piece = std::min(rows, capacity_);
  const double flops = network_.flops_per_row();
  return {flops * rows, network_.foreign() ? 1.0 : piece, flops * piece};
}

template <class T>
void Step<T>::plan(int threads) {
  interrupted_ = not_finite_ = false;
  if (static_cast<int>(first_strip_.size()) == threads + 1) return;
  const auto& strips = network_.strips();
  const auto cost = [&](const Strip& s) { return static_cast<double>(s.size) * (2.0 * capacity_ + flops_of_update); };
  double total = 0, done = 0;
  in_cache_ = cache_size;
  for (const Strip& s : strips) {
    total += cost(s);
    in_cache_ = std::max(in_cache_, s.size);
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
  while (static_cast<int>(cache_.size()) < threads) cache_.emplace_back((1 + waiting_sums_) * in_cache_);
  rates_.assign(static_cast<std::size_t>(threads), std::vector<Rates>(network_.groups().size()));
}

template <class T>
double Step<T>::batch_weight(const std::int64_t* index, int rows) const {
  if (sampler_ && sampler_->weighs()) return rows * mean_weight_;
  if (data_.weights.empty()) return rows;
  double sum = 0;
  for (int r = 0; r < rows; ++r) sum += static_cast<double>(data_.weights[static_cast<std::size_t>(index[r])]);
  return sum;
}

template <class T>
void Step<T>::rows_phase(Team& team, int thread, const std::int64_t* index, int first_row, int rows,
                         std::uint64_t number, double scale) {
  const bool sparse = sparse_layer_ >= 0;
  const auto [begin, end] = share(rows, thread, team.size(), sparse ? kernels_.tile_rows : 1);
  const Pass pass{true, network_.seed(), number, first_row, begin, end, rows, thread, team.size()};
  const int depth = network_.trained_depth();
  const auto barrier_for = [&](const Layer<T>& layer) {
    if (layer.needs_whole_batch()) team.barrier(thread);
  };

  // Then the batch will be given up; barriers are still crossed.
  const auto interrupted = [&] {
    if (thread == 0 && long_) look_for_signals();
    return interrupted_.load(std::memory_order_relaxed);
  };

  prepare(team, pass);
  if (!sparse) network_.layer(0).read(data_.x, index, work_.x, begin, end);
  for (int i = std::max(sparse_layer_, 0); i < depth; ++i) {
    const Layer<T>& layer = network_.layer(i);
    barrier_for(layer);
    if (!interrupted()) layer.forward(pass, place(i, first_row));
    barrier_for(layer);
  }
  const Panels<T> y = depth > 0 ? work_.y[static_cast<std::size_t>(depth - 1)] : work_.x;

  const int outputs = network_.layer(depth - 1).outputs();
  const Objective& objective = network_.objective();
  const bool weighs = !data_.weights.empty() || (sampler_ && sampler_->weighs());
  const std::int64_t place = sampler_ ? index - order_ : 0;
  T* const kept = predictions_ ? predictions_ + place * outputs : nullptr;
  const std::int64_t* const rows_kept = sampler_ ? nullptr : index;
  if (kept && objective.from_logits) kernels_.scatter(y, outputs, kept, rows_kept, begin, end);
  for (int r = begin; r < end && (weighs || !data_.labels.empty()); ++r) {
    const auto row = static_cast<std::size_t>(index[r]), slot = static_cast<std::size_t>(r);
    if (!data_.labels.empty()) work_.labels[slot] = data_.labels[row];
    if (weighs) work_.weight[slot] = sampler_ ? sampled_weight(index[r]) : data_.weights[row];
    if (drawn_weights_) drawn_weights_[place + r] = work_.weight[slot];
  }
  if (data_.labels.empty()) kernels_.gather(data_.y, index, outputs, work_.target, begin, end);
  network_.loss_rows({y, work_.delta[static_cast<std::size_t>(depth - 1)], work_.target,
                      data_.labels.empty() ? nullptr : work_.labels.data(), weighs ? work_.weight.data() : nullptr,
                      scale, outputs, work_.loss.data(), objective.hyper.data()},
                     begin, end);
  if (kept && !objective.from_logits) kernels_.scatter(y, outputs, kept, rows_kept, begin, end);
  bool finite = true;
  for (int r = begin; r < end; ++r) finite &= std::isfinite(work_.loss[static_cast<std::size_t>(r)]);
  if (!finite) not_finite_.store(true, std::memory_order_relaxed);

  for (int i = depth - 1; i >= network_.lowest_trained(); --i) {
    const Layer<T>& layer = network_.layer(i);
    if (i == network_.lowest_trained() && !layer.foreign()) break;
    const auto k = static_cast<std::size_t>(i);
    barrier_for(layer);
    if (!interrupted() && !not_finite_.load(std::memory_order_relaxed))
      layer.backward(pass, work_.places[k], i > 0 ? network_.layer(i - 1).fused_activation() : Elementwise<T>{});
    barrier_for(layer);
  }
  if (!row_squares_.empty()) measure_rows(pass);
}

// Only late, so that most signals are handled between two steps, where handlers may do more.
template <class T>
void Step<T>::look_for_signals() {
  constexpr double late = 0.03;
  std::optional<BeforeChanges> nothing_is_written_yet;
  if (updating_) nothing_is_written_yet.emplace();  // or else the weights may be those of a trial
  try {
    handle_signals(late);
  } catch (const Interrupted&) {
    interrupted_.store(true, std::memory_order_relaxed);
  }
}

// Layers whose scratch depends on the weights make it, strip by strip.
template <class T>
void Step<T>::prepare(Team& team, const Pass& pass) {
  if (prepared_strips_.empty()) return;
  const auto [begin, end] = pass.share(static_cast<int>(prepared_strips_.size()));
  for (int i = begin; i < end; ++i) {
    const Strip& strip = prepared_strips_[static_cast<std::size_t>(i)];
    network_.layer(strip.layer).prepare(strip, pass, work_.scratch[static_cast<std::size_t>(strip.layer)].data());
  }
  team.barrier(pass.thread);
}

// The scalars of update number + 1, for each group of parameters.
template <class T>
void Step<T>::set_rates(int thread, std::uint64_t number, double learning_rate) {
  const OptimizerSettings& settings = network_.settings();
  auto& rates = rates_[static_cast<std::size_t>(thread)];
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const auto& [factor, decay] = network_.groups()[i];
    rates[i].learning_rate = learning_rate * factor;
    rates[i].shrink = 1 - rates[i].learning_rate * (decay < 0 ? settings.weight_decay : decay);
    rates[i].average_share = settings.average > 0 ? settings.average_share(static_cast<double>(number + 1)) : 0;
    network_.rule().prepare(settings.hyper.data(), rates[i].learning_rate, static_cast<double>(number + 1),
                            rates[i].scalars);
  }
}

// Updates strips [first, last) of one group, which lie one after the other in the arena; g is the gradient of the
// first.
template <class T>
void Step<T>::update(int thread, std::size_t first, std::size_t last, const T* g, Scaled scale) {
  const std::ptrdiff_t offset = strips_[first].strip.offset;
  const std::ptrdiff_t n = strips_[last - 1].strip.offset + strips_[last - 1].strip.size - offset;
  const OptimizerKernel<T>& rule = network_.rule();
  const Rates& rates = rates_[static_cast<std::size_t>(thread)][static_cast<std::size_t>(strips_[first].group)];
  Update<T> u =
      network_.settings().update_of(network_.weights() + offset, g, n, rates.scalars, rates.learning_rate, scale);
  u.shrink = rates.shrink;
  for (int k = 0; rule.slots[k]; ++k) u.slots[k] = network_.slot(k) + offset;
  rule.update(u);
  for (std::size_t i = first; i < last; ++i) {
    const auto& [strip, layer, parameter, group] = strips_[i];
    if (parameter->proximal)
      kernels_.soft_threshold(network_.weights() + strip.offset, strip.size, rates.learning_rate * parameter->l1);
    if (parameter->max_norm == 0) finish_update(strips_[i], rates);
  }
}

// The strip's weights are final.
template <class T>
void Step<T>::finish_update(const Work& work, const Rates& rates) {
  const Strip& strip = work.strip;
  if (T* average = network_.average())
    kernels_.average(average + strip.offset, network_.weights() + strip.offset, strip.size, rates.average_share);
  work.layer->refresh(strip);
}

// Bounded columns span several strips: once all are updated, each thread takes some panels.
template <class T>
void Step<T>::bound_norms(Team& team, int thread) {
  team.barrier(thread);
  for (std::size_t i = 0, panel = 0; i < strips_.size(); ++i) {
    const auto& [first, layer, parameter, group] = strips_[i];
    if (parameter->max_norm == 0 || first.begin != 0) continue;
    if (static_cast<int>(panel++) % team.size() != thread) continue;
    kernels_.bound_norms(network_.weights() + first.offset, parameter->rows, parameter->max_norm);
    const Rates& rates = rates_[static_cast<std::size_t>(thread)][static_cast<std::size_t>(group)];
    for (const Work& other : strips_)
      if (other.parameter == parameter && other.strip.column == first.column) finish_update(other, rates);
  }
}

// Adds what the rows [done, done + together) of the batch, which are in the workspace, contribute to the gradient of a
// strip; g gets the sum with the last of them.
template <class T>
void Step<T>::add_gradient(const Work& work, int thread, int done, int together, int rows, T* g) {
  const auto& [strip, layer, parameter, group] = work;
  const Place<T>& at = place(strip.layer, done);
  if (layer->foreign() || rows <= piece_rows) return layer->gradient(strip, at, 0, together, g);
  const WaitingSums<T> waiting =
      waiting_.size() > 0 ? WaitingSums<T>{waiting_.data() + strip.offset, network_.arena_size()}
                          : WaitingSums<T>{cache_[static_cast<std::size_t>(thread)].data() + in_cache_, in_cache_};
  add_rows(kernels_, done, done + together, rows, g, strip.size, waiting,
           [&](int begin, int end, T* sum) { work.layer->gradient(work.strip, at, begin - done, end - done, sum); });
}

// Adds the penalty's share to a complete gradient and takes its square.
template <class T>
void Step<T>::finish_gradient(std::size_t i, T* g) {
  const Strip& strip = strips_[i].strip;
  const Parameter& p = *strips_[i].parameter;
  if (p.l1 != 0 || p.l2 != 0)
    penalties_[i] =
        kernels_.penalize(g, network_.weights() + strip.offset, strip.size, p.l1, p.l2, p.proximal ? 0 : p.l1);
  if (network_.settings().needs_norms())
    squares_[i] = kernels_.sum_of_squares(g, strip.size, network_.settings().clip());
}

// Sum of squares of the gradient of all that strip i's layer, as the user counts it, learns.
template <class T>
Scaled Step<T>::layer_square(std::size_t i) const {
  Scaled square{};
  for (std::size_t k = 0; k < strips_.size(); ++k)
    if (strips_[k].parameter->layer == strips_[i].parameter->layer) square = square + squares_[k];
  return square;
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
  const bool finishing = network_.penalized() || network_.settings().needs_norms();
  const auto first = static_cast<std::size_t>(first_strip_[static_cast<std::size_t>(thread)]);
  const auto last = static_cast<std::size_t>(first_strip_[static_cast<std::size_t>(thread) + 1]);
  const double weight = batch_weight(index, rows);
  const double scale = !network_.objective().mean ? 1 : weight > 0 ? 1 / weight : 0;
  if (updating) set_rates(thread, number, learning_rate);
  if (thread == 0) updating_ = updating;

  double loss_sum = 0;
  for (int done = 0, together; done < rows; done += together) {
    together = std::min(capacity_, rows - done);
    rows_phase(team, thread, index + done, done, together, number, scale);
    team.barrier(thread);
    if (interrupted_.load(std::memory_order_relaxed)) return Result::interrupted;
    if (not_finite_.load(std::memory_order_relaxed)) return Result::not_finite;
    if (thread == 0) {
      for (int r = 0; r < together; ++r) loss_sum += work_.loss[static_cast<std::size_t>(r)];
      if (!row_squares_.empty()) teach_sampler(index, done, together, rows);
    }
    const bool complete = done + together == rows;
    T* cache = cache_[static_cast<std::size_t>(thread)].data();
    for (std::size_t i = first; i < last;) {
      // Strips that follow one another in the arena and fit the cache together are updated in one go.
      const std::size_t start = i;
      const std::ptrdiff_t offset = strips_[i].strip.offset;
      for (std::ptrdiff_t end = offset; i < last; ++i) {
        const auto& [strip, layer, parameter, group] = strips_[i];
        if (strip.offset != end || (i > start && end + strip.size > offset + cache_size) ||
            group != strips_[start].group)
          break;
        T* g = through_arena_ ? gradient_.data() + strip.offset : cache + (strip.offset - offset);
        add_gradient(strips_[i], thread, done, together, rows, g);
        if (complete && finishing) finish_gradient(i, g);
        end += strip.size;
      }
      if (!through_arena_) update(thread, start, i, cache, {1, 0});
    }
    team.barrier(thread);
  }

  if (thread == 0) {
    loss_sum_ = loss_sum;
    weight_sum_ = weight;
    penalty_ = 0;
    if (network_.penalized())
      for (double p : penalties_) penalty_ += p;
    if (updating)
      for (const int i : learning_) network_.layer(i).learn(work_.scratch[static_cast<std::size_t>(i)].data());
  }
  if (!updating) return Result::done;
  if (through_arena_) {
    const OptimizerSettings& settings = network_.settings();
    Scaled clip{1, 0};
    if (settings.needs_norms()) {
      Scaled square{};
      for (std::size_t i = 0; i < strips_.size(); ++i)
        if (i == 0 || strips_[i].parameter->layer != strips_[i - 1].parameter->layer)
          square = square + settings.shortened(layer_square(i));
      clip = settings.norm_factor(square);
    }
    Scaled factor = clip;
    for (std::size_t i = first; i < last; ++i) {
      const bool new_layer = i == first || strips_[i].parameter->layer != strips_[i - 1].parameter->layer;
      if (settings.clip_layer_norm > 0 && new_layer) factor = clip * settings.layer_factor(layer_square(i));
      update(thread, i, i + 1, gradient_.data() + strips_[i].strip.offset, factor);
    }
  }
  if (network_.constrained()) bound_norms(team, thread);
  if (through_arena_ || network_.constrained()) team.barrier(thread);
  return Result::done;
}

template class Step<float>;
template class Step<double>;

}  // namespace fallline
