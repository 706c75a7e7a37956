// What this CPU can do, asked at run time.
#pragma once

#include <cstddef>
#include <string_view>

namespace fallline {

// True if the CPU has the feature that the compiler flag -m<feature> assumes, and the operating system saves the
// registers it needs. False for names it does not know, and everywhere but on x86-64.
bool cpu_has(std::string_view feature);

// Size of one core's second-level cache, or 512 KiB where the system does not say.
std::size_t l2_bytes();

}  // namespace fallline
