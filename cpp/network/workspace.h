// Activations and their gradients for up to `capacity` rows of a batch.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "network/buffer.h"
#include "network/layers/layer.h"
#include "runtime/process.h"

namespace fallline {

// Panels with memory of their own. Panels lie an odd number of rows apart, so that no two start in the same cache set.
template <class T>
class PanelBuffer {
 public:
  PanelBuffer() = default;
  PanelBuffer(int columns, int capacity) : PanelBuffer(columns, capacity, kernels<T>().panel_width) {}
  operator Panels<T>() { return {buffer_.data(), stride_}; }
  operator Panels<const T>() { return {buffer_.data(), stride_}; }

 private:
  PanelBuffer(int columns, int capacity, int width)
      : stride_(static_cast<std::ptrdiff_t>(capacity | 1) * width), buffer_((columns + width - 1) / width * stride_) {}

  std::ptrdiff_t stride_ = 0;
  Buffer<T> buffer_;
};

template <class T>
struct Workspace {
  int capacity;
  PanelBuffer<T> x;
  std::vector<PanelBuffer<T>> y, delta;  // of each layer; delta only for training, like what follows
  std::vector<Buffer<T>> scratch;
  std::vector<Place<T>> places;
  PanelBuffer<T> target;
  std::vector<std::int32_t> labels;
  std::vector<T> weight;
  std::vector<double> loss;  // of each row

  // Layers are given by their shapes; training adds the buffers of the backward pass.
  template <class Network>
  Workspace(const Network& network, int rows, bool training) : capacity(rows), x(network.inputs(), rows) {
    const auto n = static_cast<std::size_t>(rows);
    for (int i = 0; i < network.depth(); ++i) {
      y.emplace_back(network.layer(i).outputs(), rows);
      if (training) delta.emplace_back(network.layer(i).outputs(), rows);
      if (training) scratch.emplace_back(network.layer(i).scratch_size(rows));
    }
    for (std::size_t i = 0; i < delta.size(); ++i) {
      Place<T> place{i == 0 ? x : y[i - 1], y[i], delta[i], {}, scratch[i].data(), {}, {}};
      if (i > 0) place.dx = delta[i - 1];
      if (const int partner = network.layer(static_cast<int>(i)).partner; partner >= 0) {
        place.partner_y = y[static_cast<std::size_t>(partner)];
        place.partner_delta = delta[static_cast<std::size_t>(partner)];
      }
      places.push_back(place);
    }
    target = PanelBuffer<T>(network.outputs(), rows);
    labels.resize(n);
    weight.resize(n);
    loss.resize(n);
  }
};

// Workspaces kept for the next prediction, since making one costs more than a small prediction.
template <class T>
class IdleWorkspaces {
 public:
  template <class Network>
  std::unique_ptr<Workspace<T>> take(const Network& network, int rows) {
    {
      const std::lock_guard lock(process_mutex());
      if (!idle_.empty() && idle_.back()->capacity >= rows) {
        auto last = std::move(idle_.back());
        idle_.pop_back();
        return last;
      }
    }
    return std::make_unique<Workspace<T>>(network, rows, false);
  }

  // The largest stay on top; a few are enough.
  void give(std::unique_ptr<Workspace<T>> work) {
    const std::lock_guard lock(process_mutex());
    if (idle_.size() < 8 && (idle_.empty() || idle_.back()->capacity <= work->capacity))
      idle_.push_back(std::move(work));
  }

  void clear() {
    const std::lock_guard lock(process_mutex());
    idle_.clear();
  }

 private:
  std::vector<std::unique_ptr<Workspace<T>>> idle_;
};

}  // namespace fallline
