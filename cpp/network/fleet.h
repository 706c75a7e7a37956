// Many networks that learn at the same time, each on one thread: no barriers, and the bits of a fit alone.
#pragma once

#include <memory>
#include <vector>

#include "network/job.h"

namespace fallline {

// Works on the jobs until none has epochs left or the time is over. Throws Interrupted. What one throws ends all
// calls; the jobs are then as they were between two updates.
void run_jobs(const std::vector<std::unique_ptr<Job>>& jobs, double seconds);

}  // namespace fallline
