// What a layer is to the engine: it maps rows to rows, forward and back, and sums the gradients of its parameters.
// Each kind lives in one file of this folder and registers itself under the name that Python sends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/table.h"
#include "network/nonzeros.h"
#include "network/parameters.h"
#include "network/spec.h"
#include "runtime/dispatch.h"

namespace fallline {

// What a pass over some rows has in common for all layers.
struct Pass {
  bool training;
  std::uint64_t seed, step;
  int first_row;   // of those that go through the layers together, in the batch
  int begin, end;  // rows of this thread
  int rows = 0;    // of all threads
  int thread = 0, threads = 1;

  // The part of n pieces of work that falls to this thread; for layers that look across rows.
  std::pair<int, int> share(int n) const { return {n * thread / threads, n * (thread + 1) / threads}; }
};

// An elementwise activation, by its place in the kernel tables, and its parameter.
template <class T>
struct Elementwise {
  int index = 0;  // linear
  T parameter = 0;
};

// Where the numbers of one layer lie during a step.
template <class T>
struct Place {
  Panels<const T> x;      // in
  Panels<T> y;            // out
  Panels<const T> delta;  // gradient with respect to the layer's sum, i.e. before its own fused activation
  Panels<T> dx;           // gradient with respect to x; data is nullptr if nobody wants it
  T* scratch = nullptr;   // what forward leaves for backward: scratch_size() elements
  Panels<const T> partner_y, partner_delta;  // y and delta of its partner
  const Nonzeros<T>* nonzeros = nullptr;     // of x, instead of x
};

template <class T>
class Layer {
 public:
  Layer(int index, int inputs, int outputs) : index_(index), inputs_(inputs), outputs_(outputs) {}
  virtual ~Layer() = default;

  int index() const { return index_; }  // as the user counts layers
  int inputs() const { return inputs_; }
  int outputs() const { return outputs_; }

  // Of the first layer: the rows [begin, end) of a batch from the user's array, as its forward takes them.
  virtual void read(const Source& rows, const std::int64_t* index, Panels<T> x, int begin, int end) const {
    kernels_.gather(rows, index, inputs_, x, begin, end);
  }
  // True for the first layer, which reads them.
  bool reads_rows = false;

  // y = f(x) on rows [pass.begin, pass.end).
  virtual void forward(const Pass& pass, const Place<T>& at) const = 0;

  // dx from delta. dx leaves multiplied by the slope of the activation `below`, which put out x, so that it is the
  // delta of the layer below.
  virtual void backward(const Pass& pass, const Place<T>& at, Elementwise<T> below) const {
    backward_rows(pass, at);
    if (below.index != 0)
      kernels_.activations[below.index].gradient(at.x, at.dx, inputs_, below.parameter, pass.begin, pass.end);
  }

  // The elementwise activation that forward applies at its end.
  virtual Elementwise<T> fused_activation() const { return {}; }
  // True if a layer passes rows on unchanged outside training.
  virtual bool only_in_training() const { return false; }
  // True if forward and backward look across rows: the step puts barriers around them, and each thread takes its share
  // of the columns of all rows.
  virtual bool needs_whole_batch() const { return false; }
  // True if forward and gradient can do with the nonzeros of x.
  virtual bool takes_nonzeros() const { return false; }
  // True for a layer of the user's: the network runs on one thread, and backward is called even where nobody wants dx.
  virtual bool foreign() const { return false; }
  // Memory for one step over so many rows.
  virtual std::ptrdiff_t scratch_size(int /*rows*/) const { return 0; }
  // The other layer that it exchanges rows with, by its place in the network; see layers/residual.cpp.
  int partner = -1;
  // True if none of its parameters may change, since the user said so in the last compile().
  bool frozen = false;

  virtual std::vector<Parameter> parameters() const { return {}; }
  // Where the parameters ended up, and whether backward will be called; once.
  virtual void bind(const std::vector<Parameter>&, T* /*weights*/, bool /*backward*/) {}
  // g = gradient of the strip, over rows [begin, end) of the place: a piece, or all for a layer of the user's.
  virtual void gradient(const Strip&, const Place<T>&, int /*begin*/, int /*end*/, T* /*g*/) const {}
  // squares[r] += the squared norm of what row r alone contributes to the gradients, for the rows of the pass; for
  // layers whose no_row_squares() is nullptr.
  virtual void add_row_squares(const Pass&, const Place<T>&, double* /*squares*/) const {}
  // Why single rows have no gradients of their own, or why they cost too much; or nullptr.
  virtual const char* no_row_squares() const { return nullptr; }
  // The strip's weights have changed.
  virtual void refresh(const Strip&) {}

  // True if scratch depends on weights and is made, strip by strip, before the rows of each training batch.
  virtual bool prepares() const { return false; }
  virtual void prepare(const Strip&, const Pass&, T* /*scratch*/) const {}
  // True if what a batch left in scratch becomes part of the layer's own state once the batch is learned.
  virtual bool learns() const { return false; }
  virtual void learn(const T* /*scratch*/) {}

 protected:
  virtual void backward_rows(const Pass&, const Place<T>&) const {}
  // y = x on the rows of the pass, `inputs` columns.
  void copy(const Pass& pass, Panels<const T> x, Panels<T> y) const {
    kernels_.activations[0].value(x, y, inputs_, 0, pass.begin, pass.end);
  }
  const KernelTable<T>& kernels() const { return kernels_; }
  int width() const { return kernels_.panel_width; }
  // The panel of this column, from a row on.
  template <class U>
  U* panel(Panels<U> x, int column, int row) const {
    return x.data + column / width() * x.stride + static_cast<std::ptrdiff_t>(row) * width();
  }

 private:
  const KernelTable<T>& kernels_ = fallline::kernels<T>();
  int index_, inputs_, outputs_;
};

template <class T>
using MakeLayer = std::function<std::unique_ptr<Layer<T>>(const Spec&, int index, int inputs)>;

template <class T>
std::map<std::string, MakeLayer<T>>& layer_kinds() {
  static std::map<std::string, MakeLayer<T>> kinds;
  return kinds;
}

// static const RegisterLayer<Dense> dense("dense");
template <template <class> class Kind>
struct RegisterLayer {
  explicit RegisterLayer(const char* name) {
    add<float>(name);
    add<double>(name);
  }

 private:
  template <class T>
  static void add(const char* name) {
    layer_kinds<T>()[name] = [](const Spec& spec, int index, int inputs) {
      return std::make_unique<Kind<T>>(spec, index, inputs);
    };
  }
};

// The place of an elementwise activation in the kernel tables.
int activation_index(const std::string& name);

// With its default parameter.
template <class T>
Elementwise<T> elementwise(int index) {
  return {index, static_cast<T>(kernels<T>().activations[index].parameter)};
}

// The elementwise activation that a spec names, with the parameter it gives or the default.
template <class T>
Elementwise<T> activation_of(const Spec& spec) {
  auto activation = elementwise<T>(activation_index(spec.text("activation")));
  if (spec.has("parameter")) activation.parameter = static_cast<T>(spec.number("parameter"));
  return activation;
}

}  // namespace fallline
