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
#include "network/parameters.h"
#include "network/spec.h"
#include "runtime/dispatch.h"

namespace fallline {

// What a pass over some rows has in common for all layers.
struct Pass {
  bool training;
  std::uint64_t seed, step;
  int first_row;  // of the batch, when it is taken in pieces
  int begin, end;
};

// An elementwise activation and what it put out.
template <class T>
struct ActivationGate {
  int activation;
  Panels<const T> y;
};

template <class T>
class Layer {
 public:
  Layer(int index, int inputs, int outputs) : index_(index), inputs_(inputs), outputs_(outputs) {}
  virtual ~Layer() = default;

  int index() const { return index_; }  // as the user counts layers
  int inputs() const { return inputs_; }
  int outputs() const { return outputs_; }

  // y = f(x) on rows [pass.begin, pass.end).
  virtual void forward(const Pass& pass, Panels<const T> x, Panels<T> y) const = 0;

  // dx from delta, the gradient with respect to this layer's sum, i.e. before its own fused activation. dx leaves
  // multiplied by the slope of the activation below, so that it is the delta of the layer below.
  virtual void backward(const Pass& pass, Panels<const T> y, Panels<const T> delta, Panels<T> dx,
                        ActivationGate<T> below) const {
    backward_rows(pass, y, delta, dx);
    if (below.activation != 0)
      kernels_.activations[below.activation].gradient(below.y, dx, inputs_, pass.begin, pass.end);
  }

  // The elementwise activation that forward applies at its end; 0 is linear.
  virtual int fused_activation() const { return 0; }
  // True if a layer passes rows on unchanged outside training.
  virtual bool only_in_training() const { return false; }
  // True if forward and backward look across rows: the step then puts barriers around them.
  virtual bool needs_whole_batch() const { return false; }

  virtual std::vector<Parameter> parameters() const { return {}; }
  // Where the parameters ended up, and whether backward will be called; once.
  virtual void bind(const std::vector<Parameter>&, T* /*weights*/, bool /*backward*/) {}
  // g (+)= gradient of the strip, over all rows of the batch.
  virtual void gradient(const Strip&, Panels<const T> /*x*/, Panels<const T> /*delta*/, int /*rows*/, T* /*g*/,
                        bool /*accumulate*/) const {}
  // The strip's weights have changed.
  virtual void refresh(const Strip&) {}

 protected:
  virtual void backward_rows(const Pass&, Panels<const T> /*y*/, Panels<const T> /*delta*/, Panels<T> /*dx*/) const {}
  const KernelTable<T>& kernels() const { return kernels_; }

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

}  // namespace fallline
