// Columns of integers become learned vectors: the other columns of a row come first, in order, then the row table_j[k]
// for each integer k. table_j (categories_j, units_j).
#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "network/layers/layer.h"

namespace fallline {
namespace {

template <class T>
class Embedding final : public Layer<T> {
 public:
  Embedding(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, width_after(spec, inputs)), spec_(spec), columns_(integers(spec, "columns")) {
    const std::vector<int> categories = integers(spec, "categories"), units = integers(spec, "units");
    std::vector<bool> embedded(static_cast<std::size_t>(inputs));
    for (const int c : columns_) embedded.at(static_cast<std::size_t>(c)) = true;
    for (int c = 0; c < inputs; ++c)
      if (!embedded[static_cast<std::size_t>(c)]) numeric_.push_back(c);
    int first = static_cast<int>(numeric_.size());
    for (std::size_t j = 0; j < columns_.size(); ++j) {
      tables_.push_back({categories[j], units[j], first, nullptr});
      first += units[j];
    }
  }

  std::vector<Parameter> parameters() const override {
    std::vector<Parameter> all;
    for (std::size_t j = 0; j < tables_.size(); ++j)
      all.push_back(
          {this->index(), "table_" + std::to_string(j), tables_[j].categories, tables_[j].units, false, spec_});
    return all;
  }

  void bind(const std::vector<Parameter>& parameters, T* weights, bool) override {
    for (std::size_t j = 0; j < tables_.size(); ++j) tables_[j].weights = weights + parameters[j].offset;
  }

  void forward(const Pass& pass, const Place<T>& at) const override {
    const int width = this->width();
    for (int r = pass.begin; r < pass.end; ++r) {
      for (std::size_t i = 0; i < numeric_.size(); ++i)
        element(at.y, r, static_cast<int>(i)) = element(at.x, r, numeric_[i]);
      for (std::size_t j = 0; j < tables_.size(); ++j) {
        const Table& table = tables_[j];
        // The rows were checked, but they are read where they lie and may have changed since: NaN stops the batch.
        const T code = element(at.x, r, columns_[j]);
        const bool known = code >= 0 && code < static_cast<T>(table.categories);
        const int k = known ? static_cast<int>(code) : 0;
        for (int u = 0; u < table.units; ++u) {
          const std::ptrdiff_t i = (static_cast<std::ptrdiff_t>(u / width) * table.categories + k) * width + u % width;
          element(at.y, r, table.first + u) = known ? table.weights[i] : std::numeric_limits<T>::quiet_NaN();
        }
      }
    }
  }

  // Rows of delta are added to the rows of the table that they came from, in the order of the batch.
  void gradient(const Strip& strip, const Place<T>& at, int begin, int end, T* g) const override {
    const Table& table = tables_[static_cast<std::size_t>(strip.role)];
    const int column = columns_[static_cast<std::size_t>(strip.role)];
    const int n = std::min(this->width(), table.units - strip.column);
    std::fill_n(g, strip.size, T(0));
    for (int r = begin; r < end; ++r) {
      const int k = static_cast<int>(element(at.x, r, column));
      if (k < strip.begin || k >= strip.end) continue;
      T* row = g + static_cast<std::ptrdiff_t>(k - strip.begin) * this->width();
      for (int u = 0; u < n; ++u) row[u] += element(at.delta, r, table.first + strip.column + u);
    }
  }

  // A row of delta is the gradient of the rows of the tables that it came from.
  void add_row_squares(const Pass& pass, const Place<T>& at, double* squares) const override {
    for (int r = pass.begin; r < pass.end; ++r)
      for (int c = static_cast<int>(numeric_.size()); c < this->outputs(); ++c) {
        const auto d = static_cast<double>(element(at.delta, r, c));
        squares[r] += d * d;
      }
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    for (int r = pass.begin; r < pass.end; ++r)
      for (std::size_t i = 0; i < numeric_.size(); ++i)
        element(at.dx, r, numeric_[i]) = element(at.delta, r, static_cast<int>(i));
  }

 private:
  struct Table {
    int categories, units;
    int first;  // column of the output
    T* weights;
  };

  static std::vector<int> integers(const Spec& spec, const char* name) {
    const std::vector<double> values = spec.numbers(name);
    return {values.begin(), values.end()};
  }
  static int width_after(const Spec& spec, int inputs) {
    const std::vector<int> units = integers(spec, "units");
    return inputs - static_cast<int>(units.size()) + std::accumulate(units.begin(), units.end(), 0);
  }
  template <class U>
  U& element(Panels<U> x, int row, int column) const {
    const int width = this->width();
    return x.data[column / width * x.stride + static_cast<std::ptrdiff_t>(row) * width + column % width];
  }

  Spec spec_;
  std::vector<int> columns_, numeric_;
  std::vector<Table> tables_;
};

const RegisterLayer<Embedding> embedding("embedding");

}  // namespace
}  // namespace fallline
