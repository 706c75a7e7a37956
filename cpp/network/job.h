// A fit of one network among many: its epochs, validation after each, and an end of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "minimizers/minimizer.h"
#include "network/patience.h"
#include "network/surface.h"
#include "network/trainer.h"

namespace fallline {

class Job {
 public:
  // By itself: early stopping, a loss that is not finite, or an optimizer that has nothing left to do.
  enum class End { none, patience, not_finite, optimizer };

  virtual ~Job() = default;

  // Epochs that it may still do, unless it ends by itself.
  std::int64_t left() const { return end_ == End::none ? left_ : 0; }
  void extend(std::int64_t epochs) { left_ += epochs; }

  // Works to the end of an epoch, or as far as the time goes. One epoch at least must be left. Throws Interrupted.
  virtual void advance(double seconds) = 0;
  // Lets go of what work needs, and puts the best weights back.
  virtual void finish() = 0;
  // True if an epoch, or a run of epochs, was left half-way.
  virtual bool begun() const = 0;
  // FLOPs of an epoch, about.
  virtual double cost() const = 0;

  End end() const { return end_; }
  const std::string& reason() const { return reason_; }
  // Losses of the epochs since the last call: of the training rows, and of those held out.
  std::vector<double> take_losses() { return std::exchange(losses_, {}); }
  std::vector<double> take_held_out_losses() { return std::exchange(held_out_losses_, {}); }

 protected:
  void stop(End end, std::string reason = {}) {
    end_ = end;
    reason_ = std::move(reason);
  }

  std::int64_t left_ = 0;
  End end_ = End::none;
  std::string reason_;
  std::vector<double> losses_, held_out_losses_;
};

// What jobs share that work on a network.
template <class T>
class NetworkJob : public Job {
 public:
  // Keeps other fits away from the network for as long as it lives. Rows held out may be nullptr.
  NetworkJob(Network<T>& network, std::shared_ptr<const Data<T>> data, std::shared_ptr<const Data<T>> held_out,
             const std::optional<Patience>& patience);

  void finish() override;
  double cost() const override { return network_.flops_per_row() * static_cast<double>(data_->rows); }

 protected:
  // Validates, and stops if patience is over.
  void finish_epoch(double loss);

  Network<T>& network_;
  std::shared_ptr<const Data<T>> data_;

 private:
  AccessGuard::Fit fit_;
  std::shared_ptr<const Data<T>> held_out_;
  std::optional<EarlyStopping> stopping_;
  std::vector<T> best_;  // weights
};

// One number, or asked for `count` rates from a step on.
struct Rates {
  double constant;
  std::function<std::vector<double>(std::uint64_t step, std::int64_t count)> schedule;
};

// Updates by a first-order rule.
template <class T>
class TrainerJob final : public NetworkJob<T> {
 public:
  TrainerJob(Network<T>& network, std::shared_ptr<const Data<T>> data, std::shared_ptr<const Data<T>> held_out,
             const std::optional<Patience>& patience, int batch_size, bool shuffle, Rates rates)
      : NetworkJob<T>(network, std::move(data), std::move(held_out), patience),
        batch_size_(batch_size),
        shuffle_(shuffle),
        rates_(std::move(rates)) {}

  void advance(double seconds) override;
  void finish() override;
  bool begun() const override { return trainer_.has_value(); }

 private:
  const std::vector<double>& next_rates();

  int batch_size_;
  bool shuffle_;
  Rates rates_;
  std::optional<Trainer<T>> trainer_;  // while there is work
  std::vector<double> ahead_, next_;   // rates that the schedule has told, and those of them for the next updates
  std::ptrdiff_t used_ = 0;            // of those ahead
};

// Iterations of a method that sees all rows at once; each counts as an epoch.
template <class T>
class MinimizerJob final : public NetworkJob<T> {
 public:
  // The method must outlive the job.
  MinimizerJob(Network<T>& network, std::shared_ptr<const Data<T>> data, std::shared_ptr<const Data<T>> held_out,
               const std::optional<Patience>& patience, Minimizer& minimizer)
      : NetworkJob<T>(network, std::move(data), std::move(held_out), patience), minimizer_(minimizer) {}

  void advance(double seconds) override;
  void finish() override;
  bool begun() const override { return surface_.has_value(); }

 private:
  void begin();
  bool iterate();

  Minimizer& minimizer_;
  bool evaluated_ = false;             // where the weights were at the beginning
  std::optional<Surface<T>> surface_;  // while there is work
};

}  // namespace fallline
