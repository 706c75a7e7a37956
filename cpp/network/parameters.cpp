#include "network/parameters.h"

#include <algorithm>

namespace fallline {
Parameter::Parameter(int of_layer, const std::string& its_name, int its_rows, int its_columns, bool is_vector,
                     const Spec& spec)
    : layer(of_layer),
      name((spec.has("prefix") ? spec.text("prefix") : "") + its_name),
      rows(its_rows),
      columns(its_columns),
      vector(is_vector),
      l1(spec.number(its_name + "_l1", 0)),
      l2(spec.number(its_name + "_l2", 0)),
      proximal(spec.number(its_name + "_proximal", 0) != 0),
      max_norm(spec.number(its_name + "_max_norm", 0)) {}

template <class T>
void pack(const Parameter& parameter, int width, const T* matrix, T* arena) {
  std::fill_n(arena + parameter.offset, parameter.size(width), T(0));
  each_element(parameter, width, [&](std::ptrdiff_t plain, std::ptrdiff_t packed) { arena[packed] = matrix[plain]; });
}

template <class T>
void unpack(const Parameter& parameter, int width, const T* arena, T* matrix) {
  each_element(parameter, width, [&](std::ptrdiff_t plain, std::ptrdiff_t packed) { matrix[plain] = arena[packed]; });
}

template void pack(const Parameter&, int, const float*, float*);
template void pack(const Parameter&, int, const double*, double*);
template void unpack(const Parameter&, int, const float*, float*);
template void unpack(const Parameter&, int, const double*, double*);

void append_strips(const Parameter& p, int index, int layer, int role, int width, int rows,
                   std::vector<Strip>& strips) {
  // Panels innermost: neighbouring strips read the same columns of x.
  for (int begin = 0; begin < p.rows; begin += rows)
    for (int column = 0; column < p.columns; column += width) {
      const int end = std::min(begin + rows, p.rows);
      strips.push_back({layer, index, role, column, begin, end,
                        p.offset + column / width * p.panel_size(width) + static_cast<std::ptrdiff_t>(begin) * width,
                        static_cast<std::ptrdiff_t>(end - begin) * width});
    }
}

}  // namespace fallline
