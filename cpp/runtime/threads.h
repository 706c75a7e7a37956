// How many threads this process may use, and which limit says so.
#pragma once

#include <string>

namespace fallline {

struct ThreadLimit {
  int threads;
  std::string reason;  // in words, for show_config
};

// CPUs that the calling thread may run on.
int available_cpus();

// FALLLINE_NUM_THREADS, or else the smallest of: CPU affinity, cgroup quota, OMP_NUM_THREADS, and the limit that
// omp_set_num_threads (which threadpoolctl calls) has put on the calling thread. Throws std::invalid_argument if the
// first of them is no number of threads.
ThreadLimit default_threads();

// The number given to set_num_threads, for the whole process, or else that of default_threads().
int get_num_threads();
void set_num_threads(int n);
void reset_num_threads();

// True if that is a number which the user asked for.
bool threads_are_chosen();

// What get_num_threads() returns, and why.
ThreadLimit thread_limit();

}  // namespace fallline
