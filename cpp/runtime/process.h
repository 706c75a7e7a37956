// What holds for the whole process when it forks or ends: one lock for short critical sections, and a gate at which
// those who change a model wait between two steps.
#pragma once

#include <condition_variable>
#include <mutex>

namespace fallline {

// Guards what threads share for moments. Who forks holds it, so that a child never finds it taken.
std::mutex& process_mutex();
// Told of all that somebody may wait for under it.
std::condition_variable& process_changed();

// Has the function called in each child, as its first thing. Returns 0, for static objects.
int reset_in_child(void (*reset)());

// Processes between the one that loaded us and this one.
int forks();

// Reading or changing a model, by one thread. It may only begin where the gate is open. fork() waits for the end of
// changes that Python does not hold up, the end of the interpreter for that of all: a second at most. The five are for
// who holds process_mutex().
void begin_access();
void end_access();
void begin_change();
void end_change();
// For this thread: another one forks, or the interpreter has ended.
bool gate_is_closed();
// A change should pause if this is true. Needs no lock.
bool gate_may_be_closed();

// The interpreter ends: accesses under way come to their end or next gap, and other threads wait there for the end of
// the process. For who does not hold the GIL.
void close_gate_for_good();

}  // namespace fallline
