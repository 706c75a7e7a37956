// y = the largest of `pieces` numbers: piece j of unit c is column j units + c.
#include "network/layers/layer.h"

namespace fallline {
namespace {

template <class T>
class LargestPiece final : public Layer<T> {
 public:
  LargestPiece(const Spec& spec, int index, int inputs)
      : Layer<T>(index, inputs, inputs / static_cast<int>(spec.number("pieces"))), pieces_(inputs / this->outputs()) {}

  std::ptrdiff_t scratch_size(int rows) const override {
    return (this->outputs() + this->width() - 1) / this->width() * stride(rows);
  }

  void forward(const Pass& pass, const Place<T>& at) const override {
    this->kernels().largest_piece(at.x, at.y, this->outputs(), pieces_, pass.begin, pass.end);
  }

 protected:
  void backward_rows(const Pass& pass, const Place<T>& at) const override {
    this->kernels().largest_piece_gradient(at.x, at.y, at.delta, {at.scratch, stride(pass.rows)}, at.dx,
                                           this->outputs(), pieces_, pass.begin, pass.end);
  }

 private:
  std::ptrdiff_t stride(int rows) const { return static_cast<std::ptrdiff_t>(rows) * this->width(); }

  int pieces_;
};

const RegisterLayer<LargestPiece> largest_piece("largest_piece");

}  // namespace
}  // namespace fallline
