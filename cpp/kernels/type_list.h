// A list of types, to make one kernel per functor of a family.
#pragma once

namespace fallline {

template <class... Each>
struct TypeList {
  static constexpr int size = sizeof...(Each);
};

}  // namespace fallline
