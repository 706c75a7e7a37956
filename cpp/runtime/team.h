// A team of threads inside one parallel region, with a barrier cheap enough to be crossed twice per batch.
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>

namespace fallline {

class Team {
 public:
  static constexpr int max_size = 4096;

  // The number of threads that really run, which may be fewer than were asked for.
  int size() const { return size_.load(std::memory_order_relaxed); }

  // Waits until every thread of the team has arrived. What any thread wrote before is visible to all after.
  void barrier(int thread);

  // True once a thread has thrown: barriers then no longer wait, and the body should return soon.
  bool broken() const { return broken_.load(std::memory_order_relaxed); }

  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

 private:
  friend class TeamRun;
  explicit Team(int capacity);

  static constexpr int rounds = 12;
  static_assert(1 << rounds == max_size);
  using Signal = std::atomic<std::uint32_t>;

  // The owner alone touches `generation`; its partners write `signals`, which therefore has a line of its own.
  struct Slot {
    alignas(64) std::uint32_t generation = 0;
    alignas(64) std::array<Signal, rounds> signals{};
  };

  // A partner that is already one barrier ahead counts too; the difference survives the wrap-around.
  static bool reached(const Signal& signal, std::uint32_t generation) {
    return static_cast<std::int32_t>(signal.load(std::memory_order_acquire) - generation) >= 0;
  }
  void wait(const Signal& signal, std::uint32_t generation) const;

  std::atomic<int> size_;
  std::atomic<bool> broken_{false};
  int cpus_ = 1;
  std::unique_ptr<Slot[]> slots_;
};

// What every thread of a team runs: a reference to a callable `void(Team&, int thread)`, which must outlive it.
class TeamBody {
 public:
  template <class Callable>
    requires(std::invocable<Callable&, Team&, int> && !std::same_as<std::remove_cvref_t<Callable>, TeamBody>)
  TeamBody(Callable&& callable)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Team& team, int thread) {
          (*static_cast<std::remove_reference_t<Callable>*>(object))(team, thread);
        }) {}

  void operator()(Team& team, int thread) const { call_(object_, team, thread); }

 private:
  void* object_;
  void (*call_)(void*, Team&, int);
};

// Runs body(team, thread) for thread = 0 (the caller), 1, ... in one parallel region of at most `threads` threads: of
// fewer where the system grants no more, and of one within a team. The first exception thrown by the body is rethrown
// here once all threads have returned.
void run_team(int threads, TeamBody body);

// Teams of this process running now, so that several can share the cores.
int active_teams();

// Threads for work that could keep `useful` of them busy: at least one, at most this team's share of the cores, and one
// where the caller is itself one of several threads of a team. Asks for the limit, which takes a microsecond, only
// where more than one could be of use.
int threads_for(double useful);

// True in a process that was forked from one that had this library loaded.
bool forked_child();

// A dissemination barrier (Hensgen, Finkel, Manber 1988): in round r a thread signals the one 2^r places further on
// and waits for the one 2^r places before; after ceil(log2(size)) rounds everyone has heard from everyone.
inline void Team::barrier(int thread) {
  const int size = this->size();
  if (size == 1) return;
  Slot& mine = slots_[static_cast<std::size_t>(thread)];
  const std::uint32_t generation = ++mine.generation;
  for (int round = 0, distance = 1; distance < size; ++round, distance *= 2) {
    const int ahead = thread + distance;
    const int partner = ahead < size ? ahead : ahead - size;
    const auto r = static_cast<std::size_t>(round);
    slots_[static_cast<std::size_t>(partner)].signals[r].store(generation, std::memory_order_release);
    if (!reached(mine.signals[r], generation)) wait(mine.signals[r], generation);
  }
}

}  // namespace fallline
