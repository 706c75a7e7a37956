#include "network/evaluation.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <optional>

#include "runtime/signals.h"

namespace fallline {
namespace {

Source from_row(Source source, std::int64_t row) {
  source.data = static_cast<const char*>(source.data) + row * source.row_stride;
  return source;
}

// f(workspace, first row, rows) for blocks of rows, spread over a team.
template <class T, class F>
void each_block(Network<T>& network, std::int64_t n, F f) {
  const int block = static_cast<int>(std::min<std::int64_t>(inference_block, n));
  const std::int64_t blocks = (n + block - 1) / block;
  const double flops = network.flops_per_row() / 3 * static_cast<double>(n);
  std::atomic<std::int64_t> next{0};
  const auto body = [&](Team& team, int) {
    for (std::int64_t i; !team.broken() && (i = next++) < blocks;) {
      if (i > 0) handle_signals();
      auto work = network.idle_workspaces().take(network, block);
      const std::int64_t first = i * block;
      f(*work, first, static_cast<int>(std::min<std::int64_t>(block, n - first)));
      network.idle_workspaces().give(std::move(work));
    }
  };
  const double pieces = network.foreign() ? 1 : static_cast<double>(blocks);
  network.forward_threads.run({flops, pieces}, body);
}

}  // namespace

void report_not_finite(const char* operation, const std::string& cause, const std::string& where) {
  throw NonFiniteLoss(std::string(operation) + ": the loss is not finite in " + where + ", first in " + cause +
                      "; expected finite numbers (the weights are those from before this batch)");
}

template <class T>
void gather_rows(const Network<T>& network, const Data<T>& data, std::int64_t first, int rows, Workspace<T>& work) {
  network.layer(0).read(from_row(data.x, first), nullptr, work.x, 0, rows);
  if (data.labels.empty())
    kernels<T>().gather(from_row(data.y, first), nullptr, network.outputs(), work.target, 0, rows);
}

template <class T>
void losses_of_rows(const Network<T>& network, const Data<T>& data, std::int64_t first, int rows, Workspace<T>& work,
                    T* predictions, double* loss) {
  const Objective& objective = network.objective();
  const int outputs = network.outputs();
  const Panels<T> y = network.forward({false, 0, 0, 0, 0, rows}, work, network.trained_depth());
  const auto keep = [&] {
    if (predictions) kernels<T>().scatter(y, outputs, predictions, nullptr, 0, rows);
  };
  if (objective.from_logits) keep();
  network.loss_rows({y,
                     {},
                     work.target,
                     data.labels.empty() ? nullptr : data.labels.data() + first,
                     data.weights.empty() ? nullptr : data.weights.data() + first,
                     1.0,
                     outputs,
                     loss,
                     objective.hyper.data()},
                    0, rows);
  if (!objective.from_logits) keep();
}

template <class T>
void add_losses(Network<T>& network, const Data<T>& data, T* predictions, LossSums& sums) {
  std::vector<double> loss(static_cast<std::size_t>(data.rows));
  each_block(network, data.rows, [&](Workspace<T>& work, std::int64_t first, int rows) {
    gather_rows(network, data, first, rows, work);
    losses_of_rows(network, data, first, rows, work, predictions ? predictions + first * network.outputs() : nullptr,
                   loss.data() + first);
  });
  sums.add(data, loss.data());
}

template <class T>
double mean_loss(Network<T>& network, const Data<T>& data, T* predictions) {
  LossSums sums;
  add_losses(network, data, predictions, sums);
  return network.objective().total(sums.loss, sums.weight) + network.penalty();
}

template <class T>
double evaluate(Network<T>& network, const Data<T>& data, T* predictions) {
  const AccessGuard::Reading reading(network.guard, "Model.evaluate");
  return mean_loss(network, data, predictions);
}

template <class T>
void predict(Network<T>& network, Source x, std::int64_t rows, T* out) {
  const AccessGuard::Reading reading(network.guard, "Model.predict");
  const int outputs = network.outputs();
  each_block(network, rows, [&](Workspace<T>& work, std::int64_t first, int n) {
    network.layer(0).read(from_row(x, first), nullptr, work.x, 0, n);
    const Panels<T> y = network.forward({false, 0, 0, 0, 0, n}, work, network.depth());
    kernels<T>().scatter(y, outputs, out + first * outputs, nullptr, 0, n);
  });
}

template <class T>
double loss_and_gradient(Network<T>& network, const Data<T>& data, Buffer<T>& gradient) {
  constexpr const char* operation = "Model.loss_and_gradients";
  // The user's own layers keep something of the way forward for the way back.
  std::optional<AccessGuard::Reading> reading;
  std::optional<AccessGuard::Changing> changing;
  if (network.foreign())
    changing.emplace(network.guard, operation);
  else
    reading.emplace(network.guard, operation);
  const int rows = static_cast<int>(data.rows);
  Step<T> step(network, data, rows, GradientRoute::arena);
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  auto result = Step<T>::Result::done;
  network.step_threads.run(step.load(rows), [&](Team& team, int thread) {
    if (thread == 0) step.plan(team.size());
    team.barrier(thread);
    if (team.broken()) return;
    const auto outcome = step.gradients(team, thread, order.data(), rows, network.step);
    if (thread == 0) result = outcome;
  });
  if (result == Step<T>::Result::interrupted) throw Interrupted();
  if (result == Step<T>::Result::not_finite)
    report_not_finite(operation, step.first_not_finite(order.data(), rows), "these rows");
  gradient = std::move(step.gradient_arena());
  return step.loss();
}

template void gather_rows(const Network<float>&, const Data<float>&, std::int64_t, int, Workspace<float>&);
template void gather_rows(const Network<double>&, const Data<double>&, std::int64_t, int, Workspace<double>&);
template void losses_of_rows(const Network<float>&, const Data<float>&, std::int64_t, int, Workspace<float>&, float*,
                             double*);
template void losses_of_rows(const Network<double>&, const Data<double>&, std::int64_t, int, Workspace<double>&,
                             double*, double*);
template void add_losses(Network<float>&, const Data<float>&, float*, LossSums&);
template void add_losses(Network<double>&, const Data<double>&, double*, LossSums&);
template double mean_loss(Network<float>&, const Data<float>&, float*);
template double mean_loss(Network<double>&, const Data<double>&, double*);
template double evaluate(Network<float>&, const Data<float>&, float*);
template double evaluate(Network<double>&, const Data<double>&, double*);
template void predict(Network<float>&, Source, std::int64_t, float*);
template void predict(Network<double>&, Source, std::int64_t, double*);
template double loss_and_gradient(Network<float>&, const Data<float>&, Buffer<float>&);
template double loss_and_gradient(Network<double>&, const Data<double>&, Buffer<double>&);

}  // namespace fallline
