// Training: the same bits on any number of threads and by either route of the gradient, gradients that are derivatives,
// and states that runs can be cut at.

#include <chrono>
#include <thread>

#include "engine_cases.h"
#include "runtime/signals.h"

namespace fallline::testing {
namespace {

constexpr int inputs = 40, outputs = 5;

std::vector<Spec> every_kind_of_layer(double l1, double l2) {
  return {rescale(0.5, 0.1), dense(70, "relu", l1, l2), dropout(0.3), dense(33, "linear", 0, l2), activation("sigmoid"),
          dense(21, "tanh"), dense(outputs, "softmax")};
}

template <class T>
Trainer<T> trainer_on(Network<T>& net, std::shared_ptr<const Data<T>> data, int batch_size, const char* sampler,
                      GradientRoute route = GradientRoute::automatic) {
  auto order = make_sampler(sampler, data->rows);
  return Trainer<T>(net, std::move(data), batch_size, std::move(order), route, nullptr);
}

template <class T>
std::vector<T> trained(const Rows<T>& rows, const std::vector<Spec>& layers, const Spec& optimizer, GradientRoute route,
                       int threads) {
  const Threads limit(threads);
  const auto net = network<T>(inputs, layers, loss("cross_entropy"), optimizer);
  const auto data = rows.shared();
  CHECK_EQUAL(net->step_threads.begin(Step<T>(*net, *data, 64, route).load(64)).threads(), threads);
  Trainer<T> trainer = trainer_on(*net, data, 64, "shuffled", route);
  std::vector<double> losses;
  trainer.run({0.01}, epochs(2), losses);
  CHECK_EQUAL(losses.size(), 2u);
  std::vector<T> all = state(*net);
  for (const double each : losses) all.push_back(static_cast<T>(each));
  return all;
}

template <class T>
void check_bits_of_training() {
  for (const bool weighted : {false, true})
    for (const bool penalized : {false, true})
      for (const double clip_norm : {0.0, 0.05}) {
        const Rows<T> rows(300, inputs, outputs, weighted, 41);
        const std::vector<Spec> layers = every_kind_of_layer(penalized ? 1e-3 : 0, penalized ? 1e-2 : 0);
        Spec optimizer = adam();
        optimizer.set("clip_norm", clip_norm);
        optimizer.set("weight_decay", 0.01);
        optimizer.set("clip_value", weighted ? 0.1 : 0.0);
        const std::vector<T> expected = trained(rows, layers, optimizer, GradientRoute::automatic, 1);
        for (const GradientRoute route : {GradientRoute::automatic, GradientRoute::arena})
          for (const int threads : {1, 2, 3, 7}) {
            const Where where(sizeof(T) == 4 ? "float32" : "float64", " threads ", threads,
                              route == GradientRoute::arena ? " arena" : "", weighted ? " weighted" : "",
                              penalized ? " penalized" : "", " clip_norm ", clip_norm);
            CHECK(trained(rows, layers, optimizer, route, threads) == expected);
          }
      }
}

TEST(training_gives_the_same_bits_on_any_number_of_threads) {
  check_bits_of_training<float>();
  check_bits_of_training<double>();
}

TEST(training_lowers_the_loss) {
  const Rows<float> rows(300, inputs, outputs, false, 42);
  const auto net =
      network<float>(inputs, {dense(64, "relu"), dense(outputs, "softmax")}, loss("cross_entropy"), adam());
  Trainer<float> trainer = trainer_on(*net, rows.shared(), 32, "shuffled");
  std::vector<double> losses;
  trainer.run({0.01}, epochs(30), losses);
  CHECK_NEAR(losses.front(), std::log(5.0), 0.3);
  CHECK(losses.back() < 0.1);
}

// A batch that does not fit the workspace: its gradient is the mean of those of its pieces.
TEST(large_batches_are_taken_in_pieces) {
  const Rows<double> rows(5000, inputs, outputs, false, 43);
  const auto net =
      network<double>(inputs, {dense(21, "tanh"), dense(outputs, "softmax")}, loss("cross_entropy"), sgd());
  const auto gradient_of = [&](std::int64_t first, std::int64_t n) {
    Buffer<double> arena;
    const double value = loss_and_gradient(*net, rows.data(true, first, n), arena);
    std::vector<double> all = unpacked(*net, arena.data());
    all.push_back(value);
    return all;
  };
  for (const int threads : {1, 3}) {
    const Threads limit(threads);
    const std::vector<double> whole = gradient_of(0, 5000), low = gradient_of(0, 2000), high = gradient_of(2000, 3000);
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK_NEAR(whole[i], 0.4 * low[i] + 0.6 * high[i], 1e-14);
  }
}

TEST(gradients_are_derivatives) {
  struct Objective {
    const char *activation, *loss, *reduction;
    bool labels;
  };
  const Rows<double> rows(13, 7, 3, true, 44);
  for (const auto& [last, name, reduction, labels] : {Objective{"tanh", "mse", "mean", false},
                                                      {"softmax", "mse", "mean", false},
                                                      {"relu", "mse", "sum", false},
                                                      {"sigmoid", "binary_cross_entropy", "mean", false},
                                                      {"linear", "binary_cross_entropy", "sum", false},
                                                      {"softmax", "cross_entropy", "mean", true},
                                                      {"softmax", "cross_entropy", "sum", false},
                                                      {"linear", "cross_entropy", "mean", true}}) {
    const Where where(last, " ", name, " ", reduction);
    const std::vector<Spec> layers{
        rescale(0.7, -0.2), dense(9, "sigmoid", 0.01, 0.02), dropout(0.25), dense(6, "linear"),
        activation("tanh"), dense(4, "relu", 0, 0.1),        dense(3, last)};
    const auto net = network<double>(7, layers, loss(name, reduction), sgd());
    const Data<double> data = rows.data(labels);
    Buffer<double> arena, ignored;
    loss_and_gradient(*net, data, arena);
    for (int i = 0; i < static_cast<int>(net->parameters().size()); ++i) {
      const Parameter& p = net->parameters()[static_cast<std::size_t>(i)];
      const auto n = static_cast<std::size_t>(p.rows * p.columns);
      std::vector<double> matrix(n), gradient(n);
      net->get_parameter(i, matrix.data());
      unpack(p, kernels<double>().panel_width, arena.data(), gradient.data());
      for (std::size_t k = 0; k < n; ++k) {
        const double kept = matrix[k], step = 1e-6;
        const auto loss_at = [&](double w) {
          matrix[k] = w;
          net->set_parameter(i, matrix.data());
          return loss_and_gradient(*net, data, ignored);
        };
        const double slope = (loss_at(kept + step) - loss_at(kept - step)) / (2 * step);
        loss_at(kept);
        CHECK_NEAR(gradient[k], slope, 1e-7);
      }
    }
  }
}

TEST(evaluation_agrees_with_training) {
  const Rows<double> rows(700, inputs, outputs, true, 45);
  for (const char* last : {"softmax", "linear"}) {
    const auto net =
        network<double>(inputs, {dense(21, "tanh", 0.01, 0.01), dense(outputs, last)}, loss("cross_entropy"), sgd());
    Buffer<double> gradient;
    const double expected = loss_and_gradient(*net, rows.data(true), gradient);
    std::vector<double> kept(rows.y.size()), predicted(rows.y.size());
    for (const int threads : {1, 3}) {
      const Threads limit(threads);
      CHECK_NEAR(evaluate(*net, rows.data(true), kept.data()), expected, 1e-13);
      predict(*net, rows.data(true).x, rows.n, predicted.data());
      CHECK(kept == predicted);
    }
  }
}

template <class T>
struct Run {
  Rows<T> rows{300, inputs, outputs, true, 46};
  std::unique_ptr<Network<T>> net = network<T>(inputs, every_kind_of_layer(0, 0.001), loss("cross_entropy"), adam());
  std::unique_ptr<Trainer<T>> trainer = make_trainer();
  std::vector<double> losses;

  std::unique_ptr<Trainer<T>> make_trainer() {
    return std::unique_ptr<Trainer<T>>(new Trainer<T>(trainer_on(*net, rows.shared(), 32, "shuffled")));
  }
  std::int64_t go(RunLimits limits) { return trainer->run({0.01}, limits, losses); }
};

TEST(runs_can_be_cut_anywhere) {
  Run<float> whole, by_epoch, by_batches, by_trainer;
  CHECK_EQUAL(whole.go(epochs(4)), 40);
  for (int i = 0; i < 4; ++i) CHECK_EQUAL(by_epoch.go(epochs(1)), 10);
  for (std::int64_t left = 40; left > 0;) left -= by_batches.go(batches(std::min<std::int64_t>(left, 3)));
  for (std::int64_t left = 40; left > 0;) {
    left -= by_trainer.go(batches(std::min<std::int64_t>(left, 7)));
    const std::uint64_t epoch = by_trainer.net->epoch;
    const std::int64_t row = by_trainer.net->row;
    const LossSums sums = by_trainer.trainer->sums();
    by_trainer.trainer.reset();
    CHECK_EQUAL(by_trainer.net->epoch, epoch + (row > 0));  // an epoch that was left is over
    CHECK_EQUAL(by_trainer.net->row, 0);
    by_trainer.trainer = by_trainer.make_trainer();
    if (row > 0) by_trainer.trainer->resume(epoch, row, sums);
  }
  for (Run<float>* each : {&by_epoch, &by_batches, &by_trainer}) CHECK(state(*each->net) == state(*whole.net));
  CHECK(by_epoch.losses == whole.losses);
  CHECK(by_batches.losses == whole.losses);
  CHECK(by_trainer.losses == whole.losses);
}

TEST(a_rate_for_each_batch) {
  Run<float> constant, listed;
  constant.go(batches(12));
  CHECK_EQUAL(listed.trainer->run(std::vector<double>(12, 0.01), epochs(100), listed.losses), 12);
  CHECK(state(*listed.net) == state(*constant.net));
}

// A signal is always pending, and its handler raises from the first call on, or a later one.
struct SignalHandler {
  explicit SignalHandler(int quiet = 0) {
    calls = 0;
    raises_after = quiet;
    handle_signals_by([] { return calls++ >= raises_after; });
  }
  ~SignalHandler() { handle_signals_by(nullptr); }
  SignalHandler(const SignalHandler&) = delete;
  SignalHandler& operator=(const SignalHandler&) = delete;

  static inline std::atomic<int> calls{0}, raises_after{0};
};

// After `done` batches the state is that of a run of so many, and training goes on from there.
void check_cut(Run<float>& cut, std::int64_t done) {
  CHECK(done > 0);
  CHECK_EQUAL(static_cast<std::int64_t>(cut.net->step), done);
  Run<float> whole;
  whole.go(batches(done));
  CHECK(state(*cut.net) == state(*whole.net));
  whole.go(batches(5));
  cut.go(batches(5));
  CHECK(state(*cut.net) == state(*whole.net));
}

TEST(a_time_limit_leaves_a_consistent_state) {
  for (const int threads : {1, 3}) {
    const Threads limit(threads);
    Run<float> run;
    check_cut(run, run.go({1000000, 1000000, 0.2}));
  }
}

TEST(a_handler_that_raises_leaves_a_consistent_state) {
  for (const int threads : {1, 3}) {
    const Threads limit(threads);
    Run<float> run;
    {
      const SignalHandler handler;
      begin_signals();
      CHECK_THROWS(Interrupted, run.go(epochs(1000000)));
    }
    check_cut(run, static_cast<std::int64_t>(run.net->step));
  }
}

TEST(a_handler_that_does_not_raise_changes_nothing) {
  SignalHandler handler(1 << 30);
  Run<float> run;
  begin_signals();
  check_cut(run, run.go({1000000, 1000000, 0.3}));
  CHECK(SignalHandler::calls > 1);
}

TEST(a_long_batch_is_given_up) {
  const Rows<float> rows(4000, inputs, outputs, false, 50);
  const auto net = network<float>(inputs, {dense(1500, "tanh"), dense(1500, "tanh"), dense(outputs, "softmax")},
                                  loss("cross_entropy"), adam());
  const auto before = state(*net);
  const SignalHandler handler;
  begin_signals();
  BatchTrainer<float> trainer(*net);
  CHECK_THROWS(Interrupted, trainer.train(rows.data(true), 0.1));
  CHECK(state(*net) == before);
}

TEST(a_loss_that_is_not_finite_throws_and_leaves_the_weights) {
  for (const int threads : {1, 3})
    for (const GradientRoute route : {GradientRoute::automatic, GradientRoute::arena}) {
      const Threads limit(threads);
      Rows<float> rows(300, inputs, outputs, false, 47);
      const Rows<float> clean = rows;
      rows.x[130 * inputs + 3] = nan<float>;  // in the third batch
      const auto make = [] { return network<float>(inputs, every_kind_of_layer(0, 0), loss("cross_entropy"), adam()); };
      const auto net = make(), expected = make();
      std::vector<double> losses;
      Trainer<float> trainer = trainer_on(*net, rows.shared(), 60, "sequential", route);
      CHECK_THROWS(NonFiniteLoss, trainer.run({0.01}, epochs(1), losses));
      Trainer<float> other = trainer_on(*expected, clean.shared(), 60, "sequential", route);
      other.run({0.01}, batches(2), losses);
      CHECK(state(*net) == state(*expected));
      CHECK_THROWS(NonFiniteLoss, trainer.run({0.01}, epochs(1), losses));
      CHECK(state(*net) == state(*expected));
    }
}

TEST(the_error_names_the_layer) {
  const Rows<double> rows(20, inputs, outputs, false, 48);
  const auto net = network<double>(inputs, {dense(8, "tanh"), dropout(0.1), dense(outputs, "softmax")},
                                   loss("cross_entropy"), sgd());
  std::vector<double> kernel(8 * outputs, std::numeric_limits<double>::infinity());
  net->set_parameter(2, kernel.data());
  Trainer<double> trainer = trainer_on(*net, rows.shared(), 20, "sequential");
  std::vector<double> losses;
  std::string message;
  try {
    trainer.run({0.1}, epochs(1), losses);
  } catch (const NonFiniteLoss& error) {
    message = error.what();
  }
  CHECK(message.find("layer 2") != message.npos);
}

TEST(single_batches_train_like_a_run) {
  const Rows<float> rows(96, inputs, outputs, true, 49);
  const auto make = [] { return network<float>(inputs, every_kind_of_layer(0, 0.01), loss("cross_entropy"), adam()); };
  const auto net = make(), expected = make();
  std::vector<double> losses;
  trainer_on(*expected, rows.shared(), 32, "sequential").run({0.01}, batches(3), losses);
  BatchTrainer<float> trainer(*net);
  for (int i = 0; i < 3; ++i) trainer.train(rows.data(true, 32 * i, 32), 0.01);
  CHECK(weights(*net) == weights(*expected));
  CHECK_EQUAL(net->step, expected->step);
}

TEST(one_fit_at_a_time) {
  Run<float> run;
  const AccessGuard::Fit first(run.net->guard, "first");
  CHECK_THROWS(std::runtime_error, AccessGuard::Fit(run.net->guard, "second"));
}

}  // namespace
}  // namespace fallline::testing
