#include "network/network.h"

#include <algorithm>
#include <stdexcept>

namespace fallline {
namespace {

// Rows of a strip: enough for the tiles to be whole, few enough for the columns of x they read to stay in the
// second-level cache and for an even split of small networks.
int strip_rows(std::ptrdiff_t parameters, int width) {
  constexpr int most = 64, strips = 32;
  const auto rows = static_cast<int>(std::min<std::ptrdiff_t>(parameters / strips / width, most));
  return std::max(rows / width, 1) * width;
}

// Whether an activation cannot be fused into the layer before it.
template <class T>
bool stands_alone(const std::string& activation) {
  return activation == "softmax" || kernels<T>().activations[activation_index(activation)].from_input;
}

template <class T>
std::unique_ptr<Layer<T>> made(const Spec& spec, int index, int inputs) {
  const auto& kinds = layer_kinds<T>();
  const auto kind = kinds.find(spec.text("kind"));
  if (kind == kinds.end())
    throw std::invalid_argument("Network: layer kind is '" + spec.text("kind") + "'; expected a known one");
  return kind->second(spec, index, inputs);
}

}  // namespace

template <class T>
Network<T>::Network(int inputs, const std::vector<Spec>& specs, std::uint64_t seed) : inputs_(inputs), seed_(seed) {
  lower(specs);
  const int width = kernels<T>().panel_width;
  std::ptrdiff_t size = 0;
  std::vector<std::vector<Parameter>> of_layer;
  for (int i = 0; i < depth(); ++i) {
    of_layer.push_back(layer(i).parameters());
    for (Parameter& p : of_layer.back()) {
      p.offset = size;
      size += p.size(width);
    }
  }
  weights_ = Buffer<T>(size);
  const int rows = strip_rows(size, width);
  for (int i = 0; i < depth(); ++i)
    for (int role = 0; const Parameter& p : of_layer[static_cast<std::size_t>(i)]) {
      append_strips(p, static_cast<int>(parameters_.size()), i, role++, width, rows, strips_);
      parameters_.push_back(p);
    }
  group_of_.assign(parameters_.size(), 0);
  choose_trained(std::vector<bool>(parameters_.size()));
  for (int i = 0; i < depth(); ++i)
    if (const auto& own = of_layer[static_cast<std::size_t>(i)]; !own.empty())
      layer(i).bind(own, weights_.data(), i > lowest_trained_);
}

// What learns, and what follows from it.
template <class T>
void Network<T>::choose_trained(const std::vector<bool>& frozen_parameters) {
  trained_strips_.clear();
  lowest_trained_ = depth();
  flops_per_row_ = 0;
  penalized_ = constrained_ = false;
  for (const Strip& strip : strips_) {
    const Parameter& p = parameter(strip);
    layer(strip.layer).frozen = frozen_parameters[static_cast<std::size_t>(strip.parameter)];
    if (!p.trainable || layer(strip.layer).frozen) continue;
    trained_strips_.push_back(strip);
    lowest_trained_ = std::min(lowest_trained_, strip.layer);
    penalized_ = penalized_ || p.l1 != 0 || p.l2 != 0;
    constrained_ = constrained_ || p.max_norm != 0;
  }
  // Forward, weight gradient and, above the lowest layer, input gradient: a product and a sum each.
  for (const Strip& strip : strips_)
    flops_per_row_ += (strip.layer > lowest_trained_ ? 6.0 : 4.0) * static_cast<double>(strip.size);
}

template <class T>
std::vector<Parameter> Network<T>::planned(int inputs, const std::vector<Spec>& specs) {
  std::vector<Parameter> all;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    Spec spec = specs[i];
    if (spec.has("activation") && spec.text("kind") != "activation") spec.set("activation", std::string("linear"));
    const auto layer = made<T>(spec, static_cast<int>(spec.number("index", static_cast<double>(i))), inputs);
    const std::vector<Parameter> own = layer->parameters();
    all.insert(all.end(), own.begin(), own.end());
    inputs = layer->outputs();
  }
  return all;
}

// A layer's own activation is fused into it where it can be: elementwise and not the last, which the loss may want to
// take over. Otherwise it becomes a layer of its own.
template <class T>
void Network<T>::lower(const std::vector<Spec>& specs) {
  int width = inputs_;
  std::vector<int> forks;  // not yet joined
  const auto append = [&](const Spec& spec, int index) {
    layers_.push_back(made<T>(spec, index, width));
    width = layers_.back()->outputs();
    if (spec.text("kind") == "fork") forks.push_back(depth() - 1);
    if (spec.text("kind") == "join" && !forks.empty()) {
      layers_.back()->partner = forks.back();
      layer(forks.back()).partner = depth() - 1;
      forks.pop_back();
    }
  };
  for (std::size_t i = 0; i < specs.size(); ++i) {
    Spec spec = specs[i];
    const int index = static_cast<int>(spec.number("index", static_cast<double>(i)));
    if (!spec.has("activation") || spec.text("kind") == "activation") {
      append(spec, index);
      continue;
    }
    Spec own;  // the activation, as a layer
    own.set("kind", std::string("activation"));
    own.set("activation", spec.text("activation"));
    if (spec.text("activation") == "linear" && i + 2 < specs.size() && specs[i + 1].text("kind") == "activation" &&
        !stands_alone<T>(specs[i + 1].text("activation")))
      own = specs[++i];
    const bool separate = stands_alone<T>(own.text("activation")) || i + 1 == specs.size();
    spec.set("activation", separate ? std::string("linear") : own.text("activation"));
    if (!separate && own.has("parameter")) spec.set("parameter", own.number("parameter"));
    append(spec, index);
    if (separate && own.text("activation") != "linear") append(own, index);
  }
  layers_.front()->reads_rows = true;
  const Spec& last = specs.back();
  if (last.has("activation")) last_activation_ = last.text("activation");
}

template <class T>
void Network<T>::get_parameter(int index, T* matrix) const {
  unpack(parameters_[static_cast<std::size_t>(index)], kernels<T>().panel_width, weights_.data(), matrix);
}

template <class T>
void Network<T>::set_parameter(int index, const T* matrix) {
  for (T* arena : {weights_.data(), average()})
    if (arena) pack(parameters_[static_cast<std::size_t>(index)], kernels<T>().panel_width, matrix, arena);
  for (const Strip& strip : strips_)
    if (strip.parameter == index) layer(strip.layer).refresh(strip);
}

template <class T>
void Network<T>::set_weights(const T* arena) {
  for (T* own : {weights_.data(), average()})
    if (own) std::copy_n(arena, arena_size(), own);
  for (const Strip& strip : strips_) layer(strip.layer).refresh(strip);
}

template <class T>
void Network<T>::get_slot(int slot, int index, T* matrix) const {
  unpack(parameters_[static_cast<std::size_t>(index)], kernels<T>().panel_width,
         slots_[static_cast<std::size_t>(slot)].data(), matrix);
}

template <class T>
void Network<T>::set_slot(int slot, int index, const T* matrix) {
  pack(parameters_[static_cast<std::size_t>(index)], kernels<T>().panel_width, matrix,
       slots_[static_cast<std::size_t>(slot)].data());
}

template <class T>
void Network<T>::compile(const Spec& loss, const Spec& optimizer, const std::vector<Spec>& groups) {
  const KernelTable<T>& table = kernels<T>();
  Objective objective;
  objective.mean = loss.text("reduction") == "mean";
  const char* fused = nullptr;
  if (loss.has("loss")) {
    objective.foreign = loss.foreign_loss();
    objective.takes_labels = loss.number("takes_classes") != 0;
  } else {
    for (int i = 0; i < table.loss_count; ++i)
      if (loss.text("name") == table.losses[i].name) objective.loss = i;
    if (objective.loss < 0)
      throw std::invalid_argument("compile: loss is '" + loss.text("name") + "'; expected a known loss");
    const LossKernel<T>& kernel = table.losses[objective.loss];
    objective.takes_labels = kernel.takes_labels;
    objective.hyper = loss.numbers_of(kernel.hyper, "compile: loss");
    fused = kernel.fused_activation;
  }
  if (fused) {
    objective.takes_activation = last_activation_ == fused;
    if (objective.takes_activation && depth() == 1)
      throw std::invalid_argument("compile: the model is a lone activation '" + last_activation_ +
                                  "'; expected a layer before it with loss '" + loss.text("name") + "'");
    objective.from_logits = last_activation_ == "linear";
    if (!objective.takes_activation && !objective.from_logits)
      throw std::invalid_argument("compile: the last activation is '" + last_activation_ + "'; expected '" + fused +
                                  "' or 'linear' with loss '" + loss.text("name") + "'");
  }

  OptimizerSettings settings(optimizer);
  std::vector<Buffer<T>> slots;
  for (std::size_t i = 0; i < settings.slot_names().size(); ++i) slots.emplace_back(arena_size());
  std::vector<ParameterGroup> ways{ParameterGroup{}};
  std::vector<int> way_of(parameters_.size(), 0);
  std::vector<bool> frozen(parameters_.size());
  for (const Spec& group : groups) {
    const int user_layer = static_cast<int>(group.number("index"));
    const std::string prefix = group.has("prefix") ? group.text("prefix") : "";
    const ParameterGroup way{group.number("rate_factor", 1), group.number("weight_decay", -1)};
    const auto place = std::find(ways.begin(), ways.end(), way) - ways.begin();
    if (place == std::ssize(ways)) ways.push_back(way);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      if (parameters_[i].layer != user_layer || !parameters_[i].name.starts_with(prefix)) continue;
      way_of[i] = static_cast<int>(place);
      frozen[i] = group.number("trainable", 1) == 0;
    }
  }
  objective_ = objective;
  settings_ = std::move(settings);
  groups_ = std::move(ways);
  group_of_ = std::move(way_of);
  choose_trained(frozen);
  slots_ = std::move(slots);
  ++compilations_;
  step = 0;
}

template <class T>
std::vector<std::string> Network<T>::slot_names() const {
  return settings_.rule >= 0 ? settings_.slot_names() : std::vector<std::string>();
}

template <class T>
void Network<T>::take_average(const Network& of) {
  objective_ = of.objective_;
  std::vector<bool> frozen(parameters_.size());
  for (const Strip& strip : strips_) frozen[static_cast<std::size_t>(strip.parameter)] = of.layer(strip.layer).frozen;
  choose_trained(frozen);
  std::copy_n(of.weights_.data(), arena_size(), weights_.data());
  for (const Strip& strip : of.step > 0 ? trained_strips_ : std::vector<Strip>())  // before, there is no average
    std::copy_n(of.slots_.back().data() + strip.offset, strip.size, weights_.data() + strip.offset);
  for (const Strip& strip : strips_) layer(strip.layer).refresh(strip);
}

template <class T>
void Network<T>::swap_average() {
  for (const Strip& strip : trained_strips_) {
    T *w = weights_.data() + strip.offset, *a = average() + strip.offset;
    std::swap_ranges(w, w + strip.size, a);
    layer(strip.layer).refresh(strip);
  }
}

template <class T>
Panels<T> Network<T>::forward(const Pass& pass, Workspace<T>& work, int depth) const {
  Panels<T> x = work.x;
  for (int i = 0; i < depth; ++i) {
    if (!pass.training && layer(i).only_in_training()) continue;
    Place<T> place;
    place.x = x;
    place.y = work.y[static_cast<std::size_t>(i)];
    if (layer(i).partner >= 0) place.partner_y = work.y[static_cast<std::size_t>(layer(i).partner)];
    layer(i).forward(pass, place);
    x = place.y;
  }
  return x;
}

template <class T>
void Network<T>::loss_rows(const LossRows<T>& rows, int begin, int end) const {
  if (!objective_.foreign) {
    LossRows<T> own = rows;
    own.hyper = objective_.hyper.data();
    return kernels<T>().losses[objective_.loss].rows(own, begin, end);
  }
  // Plain matrices there and back.
  const int n = end - begin, columns = rows.outputs;
  const auto size = static_cast<std::ptrdiff_t>(n) * columns;
  const std::ptrdiff_t skipped = static_cast<std::ptrdiff_t>(begin) * columns;
  Buffer<T> y(size), target(rows.labels ? 0 : size), gradient(rows.dy.data ? size : 0);
  kernels<T>().scatter(rows.y, columns, y.data() - skipped, nullptr, begin, end);
  if (!rows.labels) kernels<T>().scatter(rows.target, columns, target.data() - skipped, nullptr, begin, end);
  objective_.foreign->rows(Matrix<const T>{y.data(), n, columns},
                           Matrix<const T>{rows.labels ? nullptr : target.data(), n, columns},
                           rows.labels ? rows.labels + begin : nullptr, rows.loss + begin,
                           Matrix<T>{rows.dy.data ? gradient.data() : nullptr, n, columns});
  for (int r = 0; r < n; ++r) {
    const double weight = rows.weight ? static_cast<double>(rows.weight[begin + r]) : 1;
    rows.loss[begin + r] *= weight;
    for (int c = 0; rows.dy.data && c < columns; ++c)
      gradient[static_cast<std::ptrdiff_t>(r) * columns + c] *= static_cast<T>(weight * rows.scale);
  }
  if (!rows.dy.data) return;
  constexpr auto item = static_cast<std::ptrdiff_t>(sizeof(T));
  kernels<T>().gather(
      {gradient.data() - skipped, sizeof(T) == 4 ? SourceType::float32 : SourceType::float64, columns * item, item},
      nullptr, columns, rows.dy, begin, end);
}

template <class T>
bool Network<T>::foreign() const {
  return objective_.foreign ||
         std::any_of(layers_.begin(), layers_.end(), [](const auto& each) { return each->foreign(); });
}

template <class T>
bool Network<T>::needs_whole_batch() const {
  return std::any_of(layers_.begin(), layers_.end(), [](const auto& each) { return each->needs_whole_batch(); });
}

template <class T>
std::pair<int, const char*> Network<T>::no_row_squares() const {
  for (const auto& each : layers_)
    if (const char* reason = each->no_row_squares()) return {each->index(), reason};
  return {-1, nullptr};
}

template <class T>
double Network<T>::penalty() const {
  if (!penalized_) return 0;
  std::ptrdiff_t largest = 0;
  for (const Strip& strip : trained_strips_) largest = std::max(largest, strip.size);
  Buffer<T> gradient(largest);  // of no interest here
  double total = 0;
  for (const Strip& strip : trained_strips_) {
    const Parameter& p = parameter(strip);
    if (p.l1 != 0 || p.l2 != 0)
      total += kernels<T>().penalize(gradient.data(), weights_.data() + strip.offset, strip.size, p.l1, p.l2, p.l1);
  }
  return total;
}

template class Network<float>;
template class Network<double>;

}  // namespace fallline
