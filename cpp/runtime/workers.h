// Threads that a thread of the program keeps for its teams: started when first needed, asleep between teams.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>

namespace fallline {

// What workers are called for.
class Work {
 public:
  // On a worker's thread.
  virtual void take_part(int thread) noexcept = 0;

 protected:
  ~Work() = default;
};

// One thread, which only the thread that made it calls.
class Worker {
 public:
  // Throws std::system_error if the system grants no thread. `place`: as of bind_to_place().
  explicit Worker(int place);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // It will take part in the work, as this thread of the team.
  void call(Work& work, int thread);
  // If it has not come yet, it need not any more.
  void take_back();
  // Until it has nothing to do.
  void wait() const;

 private:
  enum State : int { idle, called, working, leaving };

  void run(int place);
  void enter(State state);

  std::atomic<int> state_{idle};
  Work* work_ = nullptr;
  int number_ = 0;
  std::thread thread_;
};

// Those of the calling thread: `n`, or as many as the system grants.
std::span<const std::unique_ptr<Worker>> own_workers(int n);

// One moment of waiting awake. Those before the moment `offer`, counted from 0, keep the CPU; the others offer it to
// who else wants it.
void stay_awake(std::int64_t moment, std::int64_t offer);

}  // namespace fallline
