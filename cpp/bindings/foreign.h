// Layers and losses written in Python, as the engine calls them.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "network/foreign.h"

namespace fallline {

// `layer` is fallline.layers.Layer, held weakly: it belongs to the model that the network belongs to.
std::shared_ptr<ForeignLayer> foreign_layer(const pybind11::object& layer);
// `loss` is fallline.losses.FunctionLoss.
std::shared_ptr<ForeignLoss> foreign_loss(const pybind11::object& loss);

}  // namespace fallline
