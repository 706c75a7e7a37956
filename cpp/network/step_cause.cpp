// Why the loss of a batch is not finite.
#include <algorithm>
#include <cmath>

#include "network/step.h"

namespace fallline {

template <class T>
std::string Step<T>::first_not_finite(const std::int64_t* index, int rows) {
  const int width = kernels_.panel_width, depth = network_.depth();
  int layer = depth;
  bool labels = true;
  for (int done = 0, n; done < rows; done += n) {
    n = std::min(capacity_, rows - done);
    const auto finite = [&](Panels<const T> x, int columns) {
      for (int c = 0; c < columns; ++c)
        for (int r = 0; r < n; ++r)
          if (!std::isfinite(x.data[c / width * x.stride + static_cast<std::ptrdiff_t>(r) * width + c % width]))
            return false;
      return true;
    };
    const Pass pass{true, network_.seed(), network_.step, done, 0, n, n};
    for (const Strip& strip : prepared_strips_)
      network_.layer(strip.layer).prepare(strip, pass, work_.scratch[static_cast<std::size_t>(strip.layer)].data());
    network_.layer(0).read(data_.x, index + done, work_.x, 0, n);
    if (!finite(work_.x, network_.inputs())) return "the data";
    for (int i = 0; i < layer; ++i) {
      network_.layer(i).forward(pass, work_.places[static_cast<std::size_t>(i)]);
      if (!finite(work_.y[static_cast<std::size_t>(i)], network_.layer(i).outputs())) layer = i;
    }
    if (data_.labels.empty()) {
      kernels_.gather(data_.y, index + done, network_.outputs(), work_.target, 0, n);
      labels &= finite(work_.target, network_.outputs());
    }
  }
  if (layer < depth) return "layer " + std::to_string(network_.layer(layer).index());
  if (!labels) return "the labels";
  return std::isfinite(network_.penalty()) ? "the loss itself" : "the penalties";
}

template std::string Step<float>::first_not_finite(const std::int64_t*, int);
template std::string Step<double>::first_not_finite(const std::int64_t*, int);

}  // namespace fallline
