// What BFGS and L-BFGS share: line searches along -H g, where H, the inverse of the curvature, is learned from the
// steps.
#pragma once

#include "minimizers/line_search.h"

namespace fallline {

class QuasiNewton : public Minimizer {
 public:
  // Options gtol, ftol, and those of the line search.
  explicit QuasiNewton(const Options& options);

  bool iterate(Function& f) final;

 protected:
  void start(Function& f) final;

 private:
  // Makes ready for n variables: forgets what was learned of another number of them. Throws if they are too many.
  virtual void take_up(std::size_t n) = 0;
  // -H g. Not called before something was learned.
  virtual Vector direction(const Vector& g) = 0;
  // A step s that changed the gradient by y, with s^T y > 0.
  virtual void learn(Vector s, Vector y) = 0;
  virtual bool has_learned() const = 0;
  virtual void forget() = 0;

  bool search(Function& f);

  double gtol_, ftol_;
  Vector gradient_;
  LineSearch line_;
};

}  // namespace fallline
