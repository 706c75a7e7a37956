#include "network/samplers/sampler.h"

#include <algorithm>

#include "kernels/random.h"

namespace fallline {

std::shared_ptr<Sampler> make_sampler(const Spec& spec, std::int64_t rows, const std::vector<double>& values) {
  const auto kind = sampler_kinds().find(spec.text("name"));
  if (kind == sampler_kinds().end())
    throw std::invalid_argument("Sampler: name is '" + spec.text("name") + "'; expected a known one");
  return kind->second(spec, rows, values);
}

std::shared_ptr<Sampler> make_sampler(const std::string& name, std::int64_t rows) {
  Spec spec;
  spec.set("name", name);
  return make_sampler(spec, rows);
}

void uniform_numbers(std::uint64_t seed, std::uint64_t epoch, std::int64_t first, std::int64_t n, Uniform* out) {
  constexpr std::uint32_t stream = 1u << 31;  // beyond those of layers
  constexpr int block = 8;
  for (std::int64_t i = 0; i < n; i += block) {
    std::uint32_t numbers[4][block];
    philox<block>({seed, stream, epoch}, static_cast<std::uint32_t>(first + i), numbers);
    for (int k = 0; k < std::min<std::int64_t>(block, n - i); ++k)
      out[i + k] = {static_cast<double>((std::uint64_t{numbers[0][k]} << 32 | numbers[1][k]) >> 11) * 0x1p-53,
                    static_cast<double>(numbers[2][k]) * 0x1p-32};
  }
}

}  // namespace fallline
