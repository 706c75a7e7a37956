#include "network/layers/dense.h"

namespace fallline {
namespace {

const RegisterLayer<Dense> dense("dense");

}  // namespace
}  // namespace fallline
