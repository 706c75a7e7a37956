// Small networks and data for the engine's tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel_cases.h"
#include "network/trainer.h"
#include "runtime/threads.h"

namespace fallline::testing {

inline Spec spec(const char* key, const char* value) {
  Spec s;
  s.set(key, std::string(value));
  return s;
}

inline Spec dense(int units, const char* activation, double l1 = 0, double l2 = 0) {
  Spec s = spec("kind", "dense");
  s.set("units", double(units));
  s.set("activation", std::string(activation));
  s.set("kernel_l1", l1);
  s.set("kernel_l2", l2);
  s.set("bias_l2", l2 / 2);
  return s;
}

inline Spec dropout(double rate) {
  Spec s = spec("kind", "dropout");
  s.set("rate", rate);
  return s;
}

inline Spec rescale(double scale, double offset) {
  Spec s = spec("kind", "rescale");
  s.set("scale", scale);
  s.set("offset", offset);
  return s;
}

inline Spec activation(const char* name) {
  Spec s = spec("kind", "activation");
  s.set("activation", std::string(name));
  return s;
}

inline Spec loss(const char* name, const char* reduction = "mean") {
  Spec s = spec("name", name);
  s.set("reduction", std::string(reduction));
  s.set("label_smoothing", 0.0);  // of the cross-entropies
  return s;
}

inline Spec sgd() { return spec("name", "sgd"); }

inline Spec adam() {
  Spec s = spec("name", "adam");
  s.set("beta_1", 0.9);
  s.set("beta_2", 0.999);
  s.set("epsilon", 1e-7);
  s.set("epsilon_hat", 0.0);
  return s;
}

// Rows with labels, dense targets and, if asked, weights; the arrays that Data points into live here.
template <class T>
struct Rows {
  std::int64_t n;
  int inputs, outputs;
  std::vector<T> x, y;
  std::vector<std::int32_t> labels;
  std::vector<T> weights;

  Rows(std::int64_t n_, int inputs_, int outputs_, bool weighted, std::uint64_t seed)
      : n(n_), inputs(inputs_), outputs(outputs_) {
    Random random(seed);
    for (std::int64_t i = 0; i < n * inputs; ++i) x.push_back(static_cast<T>(random.uniform(-1, 1)));
    for (std::int64_t i = 0; i < n * outputs; ++i) y.push_back(static_cast<T>(random.uniform(0, 1)));
    for (std::int64_t i = 0; i < n; ++i) labels.push_back(random.below(outputs));
    for (std::int64_t i = 0; weighted && i < n; ++i) weights.push_back(static_cast<T>(random.uniform(0.5, 2)));
  }

  static Source source(const std::vector<T>& matrix, int columns) {
    const auto element = static_cast<std::ptrdiff_t>(sizeof(T));
    return {matrix.data(), sizeof(T) == 4 ? SourceType::float32 : SourceType::float64, columns * element, element};
  }
  // Rows [first, first + count).
  Data<T> data(bool with_labels, std::int64_t first, std::int64_t count) const {
    Source x_part = source(x, inputs), y_part = source(y, outputs);
    x_part.data = x.data() + first * inputs;
    y_part.data = y.data() + first * outputs;
    Data<T> d{x_part, count, y_part, {}, {}};
    if (with_labels) d.labels.assign(labels.begin() + first, labels.begin() + first + count);
    if (!weights.empty()) d.weights.assign(weights.begin() + first, weights.begin() + first + count);
    return d;
  }
  Data<T> data(bool with_labels) const { return data(with_labels, 0, n); }
  std::shared_ptr<const Data<T>> shared() const { return std::make_shared<const Data<T>>(data(true)); }
};

// A network with weights that depend on the seed alone.
template <class T>
std::unique_ptr<Network<T>> network(int inputs, const std::vector<Spec>& layers, const Spec& loss,
                                    const Spec& optimizer) {
  auto net = std::make_unique<Network<T>>(inputs, layers, 99);
  Random random(98);
  for (int i = 0; i < static_cast<int>(net->parameters().size()); ++i) {
    const Parameter& p = net->parameters()[static_cast<std::size_t>(i)];
    const double size = p.vector ? 0.1 : std::sqrt(3.0 / p.rows);
    std::vector<T> matrix;
    for (int k = 0; k < p.rows * p.columns; ++k) matrix.push_back(static_cast<T>(random.uniform(-size, size)));
    net->set_parameter(i, matrix.data());
  }
  net->compile(loss, optimizer, {});
  return net;
}

// All parameters, one after the other, as plain matrices.
template <class T>
std::vector<T> unpacked(const Network<T>& net, const T* arena) {
  std::vector<T> all;
  for (const Parameter& p : net.parameters()) {
    std::vector<T> matrix(static_cast<std::size_t>(p.rows * p.columns));
    unpack(p, kernels<T>().panel_width, arena, matrix.data());
    all.insert(all.end(), matrix.begin(), matrix.end());
  }
  return all;
}

template <class T>
std::vector<T> weights(const Network<T>& net) {
  return unpacked(net, net.weights());
}

// Weights, optimizer state and counters: two runs that agree in these go on in the same way.
template <class T>
std::vector<T> state(Network<T>& net) {
  std::vector<T> all = weights(net);
  for (std::size_t i = 0; i < net.slot_names().size(); ++i) {
    const std::vector<T> slot = unpacked(net, net.slot(static_cast<int>(i)));
    all.insert(all.end(), slot.begin(), slot.end());
  }
  for (const auto counter : {static_cast<std::int64_t>(net.step), static_cast<std::int64_t>(net.epoch), net.row})
    all.push_back(static_cast<T>(counter));
  return all;
}

// set_num_threads for a scope.
class Threads {
 public:
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { reset_num_threads(); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
};

inline constexpr RunLimits epochs(std::int64_t n) { return {n, std::int64_t{1} << 40, 1e9}; }
inline constexpr RunLimits batches(std::int64_t n) { return {std::int64_t{1} << 40, n, 1e9}; }

}  // namespace fallline::testing
