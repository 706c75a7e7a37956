// A layer written by the user: rows leave the panels as a plain matrix, and come back as one.
#include "network/foreign.h"

#include <algorithm>

#include "network/layers/layer.h"

namespace fallline {
namespace {

template <class T>
class Foreign final : public Layer<T> {
 public:
  Foreign(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, static_cast<int>(spec.number("units"))), spec_(spec), layer_(spec.foreign_layer()) {}

  bool foreign() const override { return true; }
  bool needs_whole_batch() const override { return true; }
  const char* no_row_squares() const override { return "sums its gradients over all rows itself"; }

  std::vector<Parameter> parameters() const override {
    std::vector<Parameter> all;
    for (const ForeignParameter& p : layer_->parameters()) {
      all.push_back({this->index(), p.name, p.rows, p.columns, p.vector, spec_});
      all.back().trainable = p.trainable;
    }
    return all;
  }

  void bind(const std::vector<Parameter>& parameters, T* weights, bool) override {
    for (const Parameter& p : parameters) {
      const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(p.rows) * p.columns;
      own_.push_back({p.rows, p.columns, weights + p.offset, Buffer<T>(size), Buffer<T>(size)});
    }
  }

  void refresh(const Strip& strip) override {
    Own& own = own_[static_cast<std::size_t>(strip.role)];
    each_element(strip, own, [&](std::ptrdiff_t plain, std::ptrdiff_t, std::ptrdiff_t in_panel) {
      own.value[plain] = own.weights[in_panel];
    });
  }

  void forward(const Pass& pass, const Place<T>& at) const override {
    const int rows = pass.end - pass.begin;
    Buffer<T> x(size(rows, this->inputs())), y(size(rows, this->outputs()));
    leave(at.x, this->inputs(), pass, x.data());
    std::vector<Matrix<const T>> parameters;
    for (const Own& own : own_) parameters.push_back({own.value.data(), own.rows, own.columns});
    layer_->forward(pass.training, {x.data(), rows, this->inputs()}, parameters, {y.data(), rows, this->outputs()});
    enter(y.data(), this->outputs(), pass, at.y);
  }

  void gradient(const Strip& strip, const Place<T>&, int, int, T* g) const override {
    const Own& own = own_[static_cast<std::size_t>(strip.role)];
    std::fill_n(g, strip.size, T(0));
    each_element(strip, own, [&](std::ptrdiff_t plain, std::ptrdiff_t in_strip, std::ptrdiff_t) {
      g[in_strip] = own.gradient.data()[plain];
    });
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    const int rows = pass.end - pass.begin;
    Buffer<T> dy(size(rows, this->outputs())), dx(at.dx.data ? size(rows, this->inputs()) : 0);
    leave(at.delta, this->outputs(), pass, dy.data());
    std::vector<Matrix<T>> gradients;
    for (Own& own : own_) gradients.push_back({own.gradient.data(), own.rows, own.columns});
    layer_->backward({dy.data(), rows, this->outputs()}, gradients,
                     {at.dx.data ? dx.data() : nullptr, rows, this->inputs()});
    if (at.dx.data) enter(dx.data(), this->inputs(), pass, at.dx);
  }

 private:
  // A parameter in the arena, and as plain matrices its value and, between backward and update, its gradient.
  struct Own {
    int rows, columns;
    const T* weights;
    Buffer<T> value, gradient;
  };

  static std::ptrdiff_t size(int rows, int columns) { return static_cast<std::ptrdiff_t>(rows) * columns; }

  // f(index in the plain matrix, in the strip, in the packed parameter) for each element of a strip.
  template <class F>
  void each_element(const Strip& strip, const Own& own, F f) const {
    const int width = this->width();
    for (int r = strip.begin; r < strip.end; ++r)
      for (int c = strip.column; c < std::min(strip.column + width, own.columns); ++c) {
        const std::ptrdiff_t lane = c - strip.column;
        f(size(r, own.columns) + c, size(r - strip.begin, width) + lane,
          size(strip.column, own.rows) + size(r, width) + lane);
      }
  }

  void leave(Panels<const T> x, int columns, const Pass& pass, T* out) const {
    this->kernels().scatter(x, columns, out - size(pass.begin, columns), nullptr, pass.begin, pass.end);
  }
  void enter(const T* in, int columns, const Pass& pass, Panels<T> y) const {
    constexpr auto item = static_cast<std::ptrdiff_t>(sizeof(T));
    this->kernels().gather({in - size(pass.begin, columns), sizeof(T) == 4 ? SourceType::float32 : SourceType::float64,
                            columns * item, item},
                           nullptr, columns, y, pass.begin, pass.end);
  }

  Spec spec_;
  std::shared_ptr<ForeignLayer> layer_;
  mutable std::vector<Own> own_;
};

const RegisterLayer<Foreign> foreign("foreign");

}  // namespace
}  // namespace fallline
