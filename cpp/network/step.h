// One batch: forward, loss, backward, update, by a team of threads with two barriers.
//
//   rows    each thread takes its rows through all layers and back
//   strips  each thread sums the gradients of its strips of parameters over the whole batch and updates them, strip by
//           strip while they are in its cache
//
// Where the whole gradient must be seen first (clipping by its norm, batches that go through the layers piece by
// piece), strips are left in the gradient arena and updated after one more barrier, by the same kernel.
#pragma once

#include <atomic>
#include <limits>
#include <string>

#include "network/network.h"
#include "network/row_sums.h"
#include "network/samplers/sampler.h"
#include "runtime/team.h"

namespace fallline {

// The user's rows. Labels and weights are small and copied; x and y are read where they lie.
template <class T>
struct Data {
  Source x;
  std::int64_t rows;
  Source y;                          // dense targets, unless there are labels
  std::vector<std::int32_t> labels;  // classes
  std::vector<T> weights;            // empty: all 1
};

// Whether gradients go straight into the update; `arena` can be forced to show that it makes no difference.
enum class GradientRoute { automatic, arena };

template <class T>
class Step {
 public:
  enum class Result { done, interrupted, not_finite };

  // `data` must outlive the step.
  Step(Network<T>& network, const Data<T>& data, int batch_size, GradientRoute route);

  // Runs on every thread of the team; `number` counts the updates before this one. Rows of the batch are index[0 ..
  // rows). With a result other than done, nothing was updated.
  Result run(Team& team, int thread, const std::int64_t* index, int rows, std::uint64_t number, double learning_rate);

  // As run, but ends with the gradient in the arena.
  Result gradients(Team& team, int thread, const std::int64_t* index, int rows, std::uint64_t number);

  // Every batch to come will be these rows: if they are mostly zeros when they come to the first layer that learns, the
  // rest is kept for it, and what lies before it is not done again. Throws Interrupted.
  void keep(const std::int64_t* index, int rows);

  // Of the last batch; valid on thread 0 after run().
  double loss() const { return network_.objective().total(loss_sum_, weight_sum_) + penalty_; }
  double loss_sum() const { return loss_sum_; }      // weighted sum over rows
  double weight_sum() const { return weight_sum_; }  // of the rows
  double penalty() const { return penalty_; }
  Buffer<T>& gradient_arena() { return gradient_; }

  // Of a batch of so many rows.
  Load load(int rows) const;
  // Divides the strips among `threads`: once a region, before the first batch.
  void plan(int threads);
  // (n, outputs), receives what the last layer put out for each row, or for each place of the epoch's order if its
  // sampler repeats rows; or nullptr.
  void keep_predictions(T* predictions) { predictions_ = predictions; }
  // Batches lie in this order, drawn by this sampler, and both must outlive the step: rows get its factors, and if it
  // learns it is told of their gradients just before an update. drawn_weights receives those of each place; or nullptr.
  void sample_by(Sampler& sampler, const std::int64_t* order, T* drawn_weights);
  // What is the first not to be finite on this batch, whose loss is not: "the data", "layer 2" (as the user counts
  // them), "the labels", "the penalties" or else "the loss itself".
  std::string first_not_finite(const std::int64_t* index, int rows);

 private:
  // What the strips phase needs of each strip, looked up once.
  struct Work {
    Strip strip;
    Layer<T>* layer;
    const Parameter* parameter;
    int group;
  };
  // The scalars of one step for one group of parameters.
  struct Rates {
    double learning_rate, shrink, average_share, scalars[max_scalars];
  };

  Result accumulate(Team& team, int thread, const std::int64_t* index, int rows, std::uint64_t number, bool updating,
                    double learning_rate);
  void rows_phase(Team& team, int thread, const std::int64_t* index, int first_row, int rows, std::uint64_t number,
                  double scale);
  // Of the layer, while the rows from this one on are in the workspace.
  const Place<T>& place(int layer, int row) const {
    return layer == sparse_layer_ ? sparse_places_[static_cast<std::size_t>(row / capacity_)]
                                  : work_.places[static_cast<std::size_t>(layer)];
  }
  void add_gradient(const Work& work, int thread, int done, int together, int rows, T* g);
  void finish_gradient(std::size_t i, T* g);  // of strips_[i]
  void update(int thread, std::size_t first, std::size_t last, const T* g, Scaled scale);
  T sampled_weight(std::int64_t row) const;
  void measure_rows(const Pass& pass);
  void teach_sampler(const std::int64_t* index, int first_row, int rows, int of_batch);
  void look_for_signals();
  void prepare(Team& team, const Pass& pass);
  void set_rates(int thread, std::uint64_t number, double learning_rate);
  void finish_update(const Work& work, const Rates& rates);
  void bound_norms(Team& team, int thread);
  Scaled layer_square(std::size_t i) const;
  double batch_weight(const std::int64_t* index, int rows) const;

  Network<T>& network_;
  const Data<T>& data_;
  const KernelTable<T>& kernels_;
  bool through_arena_;
  int capacity_;  // rows that go through the layers together: whole pieces, or the largest batch
  bool long_;     // enough to look for signals within a batch
  Workspace<T> work_;
  int sparse_layer_ = -1;  // whose places, one for each `capacity_` rows of the batch, hold the nonzeros_
  std::vector<Place<T>> sparse_places_;
  std::vector<Nonzeros<T>> nonzeros_;
  Buffer<T> gradient_;  // the arena, if it is used
  Buffer<T> waiting_;   // arenas of sums of pieces, for batches beyond the capacity
  int waiting_sums_;
  std::vector<Buffer<T>> cache_;  // of each thread, for gradients on their way to the update, and sums that wait
  std::ptrdiff_t in_cache_ = 0;   // elements of each of them
  std::vector<Work> strips_;
  std::vector<Strip> prepared_strips_;     // of layers that prepare()
  std::vector<int> learning_;              // layers that learn()
  std::vector<int> first_strip_;           // of each thread, and the end
  std::vector<std::vector<Rates>> rates_;  // of each thread
  std::vector<double> penalties_;          // of each strip
  std::vector<Scaled> squares_;            // of each strip
  T* predictions_ = nullptr;
  Sampler* sampler_ = nullptr;  // if it repeats rows
  const std::int64_t* order_ = nullptr;
  T* drawn_weights_ = nullptr;
  double mean_weight_ = 1;           // of all rows
  std::vector<double> row_squares_;  // of the rows in the workspace, for a sampler that learns
  double loss_sum_ = 0, weight_sum_ = 0, penalty_ = 0;
  bool updating_ = false;  // with the batch under way; for thread 0
  std::atomic<bool> interrupted_{false}, not_finite_{false};
};

}  // namespace fallline
