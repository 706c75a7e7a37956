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

}  // namespace

template <class T>
Network<T>::Network(int inputs, const std::vector<Spec>& specs, std::uint64_t seed) : inputs_(inputs), seed_(seed) {
  lower(specs);
  const int width = kernels<T>().panel_width;
  std::ptrdiff_t size = 0;
  std::vector<std::vector<Parameter>> of_layer;
  lowest_trained_ = depth();
  for (int i = depth() - 1; i >= 0; --i)
    if (!layer(i).parameters().empty()) lowest_trained_ = i;
  for (int i = 0; i < depth(); ++i) {
    of_layer.push_back(layer(i).parameters());
    for (Parameter& p : of_layer.back()) {
      p.offset = size;
      size += p.size(width);
      // Forward, weight gradient and, above the lowest layer, input gradient: a product and a sum each.
      flops_per_row_ += (i > lowest_trained_ ? 6.0 : 4.0) * p.rows * p.columns;
      penalized_ = penalized_ || p.l1 != 0 || p.l2 != 0;
    }
  }
  weights_ = Buffer<T>(size);
  const int rows = strip_rows(size, width);
  for (int i = 0; i < depth(); ++i) {
    const std::vector<Parameter>& own = of_layer[static_cast<std::size_t>(i)];
    for (int role = 0; const Parameter& p : own) {
      append_strips(p, static_cast<int>(parameters_.size()), i, role++, width, rows, strips_);
      parameters_.push_back(p);
    }
    if (!own.empty()) layer(i).bind(own, weights_.data(), i > lowest_trained_);
  }
}

// A layer's own activation is fused into it where it can be: elementwise and not the last, which the loss may want to
// take over. Otherwise it becomes a layer of its own.
template <class T>
void Network<T>::lower(const std::vector<Spec>& specs) {
  int width = inputs_;
  const auto append = [&](const Spec& spec, int index) {
    const auto& kinds = layer_kinds<T>();
    const auto kind = kinds.find(spec.text("kind"));
    if (kind == kinds.end())
      throw std::invalid_argument("Network: layer kind is '" + spec.text("kind") + "'; expected a known one");
    layers_.push_back(kind->second(spec, index, width));
    width = layers_.back()->outputs();
  };
  for (std::size_t i = 0; i < specs.size(); ++i) {
    Spec spec = specs[i];
    const int index = static_cast<int>(spec.number("index", static_cast<double>(i)));
    if (!spec.has("activation") || spec.text("kind") == "activation") {
      append(spec, index);
      continue;
    }
    std::string activation = spec.text("activation");
    if (activation == "linear" && i + 2 < specs.size() && specs[i + 1].text("kind") == "activation" &&
        specs[i + 1].text("activation") != "softmax")
      activation = specs[++i].text("activation");
    const bool separate = activation == "softmax" || i + 1 == specs.size();
    spec.set("activation", separate ? std::string("linear") : activation);
    append(spec, index);
    if (separate && activation != "linear") {
      Spec own;
      own.set("kind", std::string("activation"));
      own.set("activation", activation);
      append(own, index);
    }
  }
  const Spec& last = specs.back();
  if (last.has("activation")) last_activation_ = last.text("activation");
}

template <class T>
void Network<T>::get_parameter(int index, T* matrix) const {
  unpack(parameters_[static_cast<std::size_t>(index)], kernels<T>().panel_width, weights_.data(), matrix);
}

template <class T>
void Network<T>::set_parameter(int index, const T* matrix) {
  pack(parameters_[static_cast<std::size_t>(index)], kernels<T>().panel_width, matrix, weights_.data());
  for (const Strip& strip : strips_)
    if (strip.parameter == index) layer(strip.layer).refresh(strip);
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
void Network<T>::compile(const Spec& loss, const Spec& optimizer) {
  const KernelTable<T>& table = kernels<T>();
  Objective objective;
  for (int i = 0; i < table.loss_count; ++i)
    if (loss.text("name") == table.losses[i].name) objective.loss = i;
  if (objective.loss < 0)
    throw std::invalid_argument("compile: loss is '" + loss.text("name") + "'; expected a known loss");
  objective.mean = loss.text("reduction") == "mean";
  if (const char* fused = table.losses[objective.loss].fused_activation) {
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
  for (const char* const* name = table.optimizers[settings.rule].slots; *name; ++name) slots.emplace_back(arena_size());
  objective_ = objective;
  settings_ = std::move(settings);
  slots_ = std::move(slots);
  ++compilations_;
  step = 0;
}

template <class T>
std::vector<std::string> Network<T>::slot_names() const {
  std::vector<std::string> names;
  if (settings_.rule >= 0)
    for (const char* const* name = rule().slots; *name; ++name) names.emplace_back(*name);
  return names;
}

template <class T>
Panels<T> Network<T>::forward(const Pass& pass, Workspace<T>& work, int depth) const {
  Panels<T> x = work.x;
  for (int i = 0; i < depth; ++i) {
    if (!pass.training && layer(i).only_in_training()) continue;
    Panels<T> y = work.y[static_cast<std::size_t>(i)];
    layer(i).forward(pass, x, y);
    x = y;
  }
  return x;
}

template <class T>
double Network<T>::penalty() const {
  if (!penalized_) return 0;
  std::ptrdiff_t largest = 0;
  for (const Strip& strip : strips_) largest = std::max(largest, strip.size);
  Buffer<T> gradient(largest);  // of no interest here
  double total = 0;
  for (const Strip& strip : strips_) {
    const Parameter& p = parameter(strip);
    if (p.l1 != 0 || p.l2 != 0)
      total += kernels<T>().penalize(gradient.data(), weights_.data() + strip.offset, strip.size, p.l1, p.l2);
  }
  return total;
}

template class Network<float>;
template class Network<double>;

}  // namespace fallline
