// A model as data: layers, parameters, optimizer state and counters, and the forward pass over rows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "network/layers/layer.h"
#include "network/optimizer.h"
#include "network/workspace.h"
#include "runtime/access_guard.h"
#include "runtime/thread_tuner.h"

namespace fallline {

// How the loss kernel meets the last layer, and how rows are weighted.
struct Objective {
  int loss = -1;
  bool takes_activation = false;  // the loss kernel applies the last activation itself
  bool from_logits = false;       // it would, but the last layer is linear: predictions stay logits
  bool mean = true;               // divide by the sum of weights
  bool takes_labels = false;
  std::shared_ptr<ForeignLoss> foreign;  // instead of a loss of the tables
  std::vector<double> hyper;             // the loss's own numbers

  // What is reported for rows of these weighted losses; rows of no weight have no loss.
  double total(double sum, double weight) const { return !mean ? sum : weight > 0 ? sum / weight : 0; }
};

// Parameters that learn alike.
struct ParameterGroup {
  double rate_factor = 1;    // of the optimizer's learning rate
  double weight_decay = -1;  // below 0: the optimizer's

  bool operator==(const ParameterGroup&) const = default;
};

template <class T>
class Network {
 public:
  Network(int inputs, const std::vector<Spec>& specs, std::uint64_t seed);

  // The parameters that layers would have: all that is known of their sizes before memory is taken.
  static std::vector<Parameter> planned(int inputs, const std::vector<Spec>& specs);

  int inputs() const { return inputs_; }
  int outputs() const { return layers_.back()->outputs(); }
  std::uint64_t seed() const { return seed_; }
  int depth() const { return static_cast<int>(layers_.size()); }
  // Layers that training runs: all but a last activation that the loss takes over.
  int trained_depth() const { return depth() - (objective_.takes_activation ? 1 : 0); }
  // The lowest layer with parameters that learn: the backward pass ends there.
  int lowest_trained() const { return lowest_trained_; }
  Layer<T>& layer(int i) { return *layers_[static_cast<std::size_t>(i)]; }
  const Layer<T>& layer(int i) const { return *layers_[static_cast<std::size_t>(i)]; }

  const std::vector<Parameter>& parameters() const { return parameters_; }
  // Strips of the parameters that learn.
  const std::vector<Strip>& strips() const { return trained_strips_; }
  const std::vector<Strip>& all_strips() const { return strips_; }
  const std::vector<ParameterGroup>& groups() const { return groups_; }
  // The place in groups() of a parameter's group.
  int group(int parameter) const { return group_of_[static_cast<std::size_t>(parameter)]; }
  const Parameter& parameter(const Strip& strip) const {
    return parameters_[static_cast<std::size_t>(strip.parameter)];
  }
  T* weights() { return weights_.data(); }
  const T* weights() const { return weights_.data(); }
  std::ptrdiff_t arena_size() const { return weights_.size(); }

  void get_parameter(int index, T* matrix) const;
  // Weights that are given take the place of those before in their average, too.
  void set_parameter(int index, const T* matrix);
  // All parameters at once, in the layout of weights().
  void set_weights(const T* arena);
  void get_slot(int slot, int index, T* matrix) const;
  void set_slot(int slot, int index, const T* matrix);

  // Checks everything, then sets objective and optimizer and zeroes the slots. groups: for each layer ("index"), or
  // its parameters whose names start with "prefix", that learn in their own way: "trainable", "rate_factor" and
  // "weight_decay" as far as they differ; the last one counts.
  void compile(const Spec& loss, const Spec& optimizer, const std::vector<Spec>& groups);
  int compilations() const { return compilations_; }
  bool compiled() const { return objective_.loss >= 0 || objective_.foreign; }
  const Objective& objective() const { return objective_; }
  const OptimizerSettings& settings() const { return settings_; }
  std::vector<std::string> slot_names() const;
  // Loss and gradient of rows, as LossKernel::rows but for `hyper`; foreign losses are called from here.
  void loss_rows(const LossRows<T>& rows, int begin, int end) const;
  const OptimizerKernel<T>& rule() const { return kernels<T>().optimizers[settings_.rule]; }
  T* slot(int i) { return slots_[static_cast<std::size_t>(i)].data(); }
  // The average of the weights that learn, or nullptr if the optimizer keeps none.
  T* average() { return settings_.average > 0 ? slots_.back().data() : nullptr; }
  // Of a network of the same layers: its loss, what learns, and the average of the weights in their place.
  void take_average(const Network& of);
  // Exchanges the weights that learn with their average.
  void swap_average();

  // Runs layers [0, depth) on rows of the workspace, whose x is filled; returns where the output is.
  Panels<T> forward(const Pass& pass, Workspace<T>& work, int depth) const;

  // True if a layer or the loss is the user's own.
  bool foreign() const;
  // The first layer (as the user counts them) without gradients of single rows, and why; or nullptr.
  std::pair<int, const char*> no_row_squares() const;
  // True if a layer looks across rows, so that a training batch must go through the layers as a whole.
  bool needs_whole_batch() const;

  // FLOPs of forward and backward for one row.
  double flops_per_row() const { return flops_per_row_; }
  // Sum of l1 |w| + l2/2 w^2 over all parameters.
  double penalty() const;
  bool penalized() const { return penalized_; }
  // True if the columns of some parameter are kept within a norm.
  bool constrained() const { return constrained_; }

  // Counters that key everything random and the optimizer's t.
  std::uint64_t step = 0, epoch = 0;
  std::int64_t row = 0;  // of the running epoch: 0 unless a trainer is at work
  // An epoch that has begun is over, whole or not, and the next one has another order.
  void end_epoch() {
    if (row > 0) ++epoch;
    row = 0;
  }

  IdleWorkspaces<T>& idle_workspaces() { return idle_; }

  // Whether teams pay for steps, and for passes forward.
  ThreadTuner step_threads{worth_barriers}, forward_threads{worth_a_reader};

  // Fits last as long as their trainer, which changes the network in each of its runs: between two, its owner may look.
  AccessGuard guard{"model"};

 private:
  void lower(const std::vector<Spec>& specs);
  void choose_trained(const std::vector<bool>& frozen_parameters);

  int inputs_;
  std::uint64_t seed_;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  std::string last_activation_ = "linear";
  std::vector<Parameter> parameters_;
  std::vector<Strip> strips_, trained_strips_;
  std::vector<ParameterGroup> groups_{ParameterGroup{}};
  std::vector<int> group_of_;
  Buffer<T> weights_;
  std::vector<Buffer<T>> slots_;
  IdleWorkspaces<T> idle_;
  Objective objective_;
  OptimizerSettings settings_;
  int lowest_trained_ = 0;
  double flops_per_row_ = 0;
  int compilations_ = 0;
  bool penalized_ = false, constrained_ = false;
};

}  // namespace fallline
