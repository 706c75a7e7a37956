// y = (x - mean) / sqrt(variance + epsilon) gamma + beta over the rows of a batch: gamma, beta (inputs,) are learned,
// moving_mean and moving_variance (inputs,) follow the batches and take the place of their moments outside training,
// and for a frozen layer (Ioffe & Szegedy 2015).
#include <cmath>
#include <vector>

#include "network/layers/affine.h"
#include "network/row_sums.h"

namespace fallline {
namespace {

template <class T>
class BatchNormalization final : public Affine<T> {
 public:
  BatchNormalization(const Spec& spec, int index, int inputs)
      : Affine<T>(spec, index, inputs),
        spec_(spec),
        momentum_(spec.number("momentum")),
        epsilon_(spec.number("epsilon")) {}

  bool needs_whole_batch() const override { return true; }
  bool learns() const override { return true; }
  const char* no_row_squares() const override {
    return this->frozen ? nullptr : "normalises over the rows of the batch";
  }
  std::ptrdiff_t scratch_size(int) const override { return 3 * this->padded(); }

  std::vector<Parameter> parameters() const override {
    std::vector<Parameter> all = Affine<T>::parameters();
    for (const char* name : {"moving_mean", "moving_variance"}) {
      all.push_back({this->index(), name, 1, this->inputs(), true, spec_});
      all.back().trainable = false;
    }
    return all;
  }

  void bind(const std::vector<Parameter>& parameters, T* weights, bool backward) override {
    Affine<T>::bind(parameters, weights, backward);
    const std::size_t first = parameters.size() - 2;
    moving_mean_ = weights + parameters[first].offset;
    moving_variance_ = weights + parameters[first + 1].offset;
  }

  // In training each thread takes some panels of all rows; otherwise rows of all panels.
  void forward(const Pass& pass, const Place<T>& at) const override {
    const int width = this->width(), panels = static_cast<int>(this->padded()) / width;
    if (!pass.training || this->frozen) {
      for (int p = 0; p < panels; ++p)
        normalize(at, p, moving_mean_ + p * width, moving_variance_ + p * width, nullptr, pass.begin, pass.end);
      return;
    }
    const auto [first, last] = pass.share(panels);
    const T count = static_cast<T>(pass.rows);
    for (int p = first; p < last; ++p) {
      T* mean = moments(at.scratch, p, 0);
      T* variance = moments(at.scratch, p, 1);
      column_sums(at.x, p, pass.rows, mean);
      for (int c = 0; c < width; ++c) mean[c] /= count;
      column_products(at.x, mean, at.x, mean, p, pass.rows, variance);
      for (int c = 0; c < width; ++c) variance[c] /= count;
      normalize(at, p, mean, variance, moments(at.scratch, p, 2), 0, pass.rows);
    }
  }

  // With r = 1 / sqrt(variance + epsilon): dx = gamma r delta for moments that are constants, else
  // dx = gamma r (delta - mean(delta) - (x - mean) r^2 mean(delta (x - mean))).
  void backward(const Pass& pass, const Place<T>& at, Elementwise<T> below) const override {
    if (this->frozen) return Layer<T>::backward(pass, at, below);
    const int width = this->width();
    const auto [first, last] = pass.share(static_cast<int>(this->padded()) / width);
    T sum[max_panel_width], product[max_panel_width], a[max_panel_width], b[max_panel_width], d[max_panel_width];
    for (int p = first; p < last; ++p) {
      const T *x = at.x.data + p * at.x.stride, *delta = at.delta.data + p * at.delta.stride;
      const T *mean = moments(at.scratch, p, 0), *root = moments(at.scratch, p, 2), *gamma = this->gamma() + p * width;
      T* dx = at.dx.data + p * at.dx.stride;
      column_sums(at.delta, p, pass.rows, sum);
      column_products(at.delta, nullptr, at.x, mean, p, pass.rows, product);
      for (int c = 0; c < width; ++c) {
        const T count = static_cast<T>(pass.rows);
        a[c] = gamma[c] * root[c];
        b[c] = -a[c] * root[c] * root[c] * product[c] / count;
        d[c] = -a[c] * sum[c] / count - mean[c] * b[c];
      }
      this->kernels().column_combine(delta, a, x, b, d, pass.rows, dx);
      if (below.index != 0)
        this->kernels().activations[below.index].gradient({x, 0}, {dx, 0}, width, below.parameter, 0, pass.rows);
    }
  }

  void learn(const T* scratch) override {
    const T keep = static_cast<T>(momentum_), take = static_cast<T>(1 - momentum_);
    for (int c = 0; c < this->inputs(); ++c) {
      const int p = c / this->width(), lane = c % this->width();
      moving_mean_[c] = keep * moving_mean_[c] + take * moments(scratch, p, 0)[lane];
      moving_variance_[c] = keep * moving_variance_[c] + take * moments(scratch, p, 1)[lane];
    }
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    std::vector<T> scale(static_cast<std::size_t>(this->padded())), zero(scale.size());
    for (std::size_t c = 0; c < scale.size(); ++c) scale[c] = this->gamma()[c] * reciprocal_root(moving_variance_[c]);
    this->kernels().affine(at.delta, scale.data(), zero.data(), at.dx, this->inputs(), pass.begin, pass.end);
  }

  void gamma_gradient(int column, const Place<T>& at, int begin, int end, T* g) const override {
    const int panel = column / this->width();
    this->kernels().column_products(this->panel(at.delta, column, begin), nullptr, this->panel(at.x, column, begin),
                                    moments(at.scratch, panel, 0), end - begin, g);
    for (int c = 0; c < this->width(); ++c) g[c] *= moments(at.scratch, panel, 2)[c];
  }

 private:
  T reciprocal_root(T variance) const { return T(1) / std::sqrt(variance + static_cast<T>(epsilon_)); }

  // Of one panel: 0 its mean, 1 its variance, 2 the reciprocal root of variance + epsilon.
  template <class U>
  U* moments(U* scratch, int panel, int which) const {
    return scratch + which * this->padded() + panel * this->width();
  }

  // Of one panel, over all rows of the batch.
  template <class Sum>
  void sum_rows(int rows, T* sums, Sum sum) const {
    T waiting[most_waiting_sums * max_panel_width];
    add_rows<T>(this->kernels(), 0, rows, rows, sums, this->width(), {waiting, max_panel_width}, sum);
  }
  void column_sums(Panels<const T> x, int panel, int rows, T* sums) const {
    const int column = panel * this->width();
    sum_rows(rows, sums, [&](int begin, int end, T* out) {
      this->kernels().column_sums(this->panel(x, column, begin), this->width(), end - begin, out);
    });
  }
  void column_products(Panels<const T> x, const T* s, Panels<const T> z, const T* t, int panel, int rows,
                       T* sums) const {
    const int column = panel * this->width();
    sum_rows(rows, sums, [&](int begin, int end, T* out) {
      this->kernels().column_products(this->panel(x, column, begin), s, this->panel(z, column, begin), t, end - begin,
                                      out);
    });
  }

  // Rows [begin, end) of one panel; root, if wanted, gets 1 / sqrt(variance + epsilon).
  void normalize(const Place<T>& at, int panel, const T* mean, const T* variance, T* root, int begin, int end) const {
    const int width = this->width();
    T scale[max_panel_width], offset[max_panel_width];
    for (int c = 0; c < width; ++c) {
      const T r = reciprocal_root(variance[c]);
      if (root) root[c] = r;
      scale[c] = this->gamma()[panel * width + c] * r;
      offset[c] = this->beta()[panel * width + c] - mean[c] * scale[c];
    }
    this->kernels().affine({at.x.data + panel * at.x.stride, 0}, scale, offset, {at.y.data + panel * at.y.stride, 0},
                           width, begin, end);
  }

  Spec spec_;
  double momentum_, epsilon_;
  T* moving_mean_ = nullptr;
  T* moving_variance_ = nullptr;
};

const RegisterLayer<BatchNormalization> batch_normalization("batch_normalization");

}  // namespace
}  // namespace fallline
