#include "network/job.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fallline {
namespace {

// Rates that a schedule is asked for at once.
constexpr std::int64_t scheduled = 1024;

// The average in the weights' place, if one is kept; for who changes the network.
template <class T>
class Averaged {
 public:
  explicit Averaged(Network<T>& network) : network_(network) { swap(); }
  ~Averaged() { swap(); }
  Averaged(const Averaged&) = delete;
  Averaged& operator=(const Averaged&) = delete;

 private:
  void swap() {
    if (network_.average()) network_.swap_average();
  }

  Network<T>& network_;
};

}  // namespace

template <class T>
NetworkJob<T>::NetworkJob(Network<T>& network, std::shared_ptr<const Data<T>> data,
                          std::shared_ptr<const Data<T>> held_out, const std::optional<Patience>& patience)
    : network_(network),
      data_(std::move(data)),
      fit_(network.guard, "Model.fit"),
      held_out_(std::move(held_out)),
      stopping_(patience) {}

// An epoch whose measurement is interrupted is not told of.
template <class T>
void NetworkJob<T>::finish_epoch(double loss) {
  const auto count = [&] {
    --this->left_;
    this->losses_.push_back(loss);
  };
  if (!held_out_ && !stopping_) return count();
  const AccessGuard::Changing changing(network_.guard, "Model.fit");
  const Averaged<T> averaged(network_);
  if (held_out_) this->held_out_losses_.push_back(mean_loss(network_, *held_out_, static_cast<T*>(nullptr)));
  count();
  if (!stopping_) return;
  using Verdict = EarlyStopping::Verdict;
  const auto verdict = stopping_->judge(stopping_->rule().of_validation ? this->held_out_losses_.back() : loss);
  if (stopping_->rule().restores && (verdict == Verdict::improved || (verdict && best_.empty())))
    best_.assign(network_.weights(), network_.weights() + network_.arena_size());
  if (verdict == Verdict::stop) this->stop(Job::End::patience);
}

template <class T>
void NetworkJob<T>::finish() {
  if (!best_.empty()) {
    const AccessGuard::Changing changing(network_.guard, "Model.fit");
    network_.set_weights(best_.data());
    best_.clear();
  }
  network_.idle_workspaces().clear();
}

// Those of the running epoch, as far as they are known.
template <class T>
const std::vector<double>& TrainerJob<T>::next_rates() {
  if (!rates_.schedule) {
    next_.assign(1, rates_.constant);
    return next_;
  }
  const std::int64_t in_epoch = trainer_->batches_per_epoch() - this->network_.row / batch_size_;
  if (used_ == std::ssize(ahead_)) {
    const std::int64_t to_come = in_epoch + (this->left_ - 1) * trainer_->batches_per_epoch();
    ahead_ = rates_.schedule(this->network_.step, std::min(to_come, scheduled));
    used_ = 0;
  }
  const auto first = ahead_.begin() + used_;
  next_.assign(first, first + std::min<std::ptrdiff_t>(ahead_.end() - first, in_epoch));
  return next_;
}

template <class T>
void TrainerJob<T>::advance(double seconds) {
  if (!trainer_)
    trainer_.emplace(this->network_, this->data_, batch_size_,
                     make_sampler(shuffle_ ? "shuffled" : "sequential", this->data_->rows), GradientRoute::automatic,
                     nullptr);
  const auto& rates = next_rates();
  std::vector<double> losses;
  struct Count {  // of the rates that updates have used, however the run ends
    TrainerJob& job;
    std::uint64_t before = job.network_.step;
    ~Count() { job.used_ += static_cast<std::ptrdiff_t>(job.network_.step - before); }
  };
  try {
    const Count count{*this};
    constexpr auto all = std::numeric_limits<std::int64_t>::max();
    trainer_->run(rates, {1, rates_.schedule ? std::ssize(rates) : all, seconds}, losses);
    if (!losses.empty()) this->finish_epoch(losses.front());
  } catch (const NonFiniteLoss& error) {
    this->stop(Job::End::not_finite, error.what());
  }
  if (this->end_ != Job::End::none)
    finish();
  else if (this->left_ == 0)
    trainer_.reset();
}

template <class T>
void TrainerJob<T>::finish() {
  trainer_.reset();
  NetworkJob<T>::finish();
}

template <class T>
void MinimizerJob<T>::begin() {
  std::vector<double> x(static_cast<std::size_t>(surface_->size()));
  surface_->get(x.data());
  excursion(*surface_, [&] { return x.data(); }, [&] { minimizer_.begin(*surface_, x.data()); });
}

// False if there was none to make.
template <class T>
bool MinimizerJob<T>::iterate() {
  bool done = false;
  excursion(*surface_, [&] { return minimizer_.x().data(); }, [&] { done = minimizer_.iterate(*surface_); });
  return done;
}

template <class T>
void MinimizerJob<T>::advance(double /*seconds*/) {
  if (!surface_) surface_.emplace(this->network_, this->data_);
  bool done = false;
  {
    const AccessGuard::Changing changing(this->network_.guard, "Model.fit"), learning(minimizer_.guard, "Model.fit");
    if (!evaluated_) {
      begin();
      evaluated_ = true;
      if (evaluated_ && !std::isfinite(minimizer_.value()))
        this->stop(Job::End::not_finite, "Model.fit: the loss is " + std::to_string(minimizer_.value()) +
                                             " where the weights are, first in " + surface_->first_not_finite() +
                                             "; expected a finite number");
    } else if (!minimizer_.reason().empty()) {
      this->stop(Job::End::optimizer, minimizer_.reason());
    } else {
      done = iterate();
      if (done) ++this->network_.epoch;
    }
  }
  if (done) this->finish_epoch(minimizer_.value());
  if (this->end_ != Job::End::none)
    finish();
  else if (this->left_ == 0)
    surface_.reset();
}

template <class T>
void MinimizerJob<T>::finish() {
  surface_.reset();
  NetworkJob<T>::finish();
}

template class MinimizerJob<float>;
template class MinimizerJob<double>;
template class NetworkJob<float>;
template class NetworkJob<double>;
template class TrainerJob<float>;
template class TrainerJob<double>;

}  // namespace fallline
