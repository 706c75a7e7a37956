#include "runtime/process.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

namespace fallline {
namespace {

// Never destroyed, since threads may be at work until the process ends; made anew in a child.
template <class T>
class Lasting {
 public:
  Lasting() { renew(); }
  void renew() { new (memory_) T; }
  T& get() { return *std::launder(reinterpret_cast<T*>(memory_)); }

 private:
  alignas(T) unsigned char memory_[sizeof(T)];
};

Lasting<std::mutex> mutex;
Lasting<std::condition_variable> changed;
std::atomic<int> fork_count{0};
int accesses = 0;  // under way
thread_local int own_accesses = 0;
int changes = 0;          // of them, but for those that Python holds up
int forking = 0;          // threads
bool ended = false;       // the interpreter
std::thread::id passing;  // who closed the gate
std::atomic<bool> closed{false};

std::vector<void (*)()>& resets() {
  static std::vector<void (*)()> all;
  return all;
}

void close_gate(std::unique_lock<std::mutex>& lock, const int& under_way) {
  if (!closed) passing = std::this_thread::get_id();
  closed = true;
  changed.get().wait_for(lock, std::chrono::seconds(1), [&] { return under_way == 0; });
}

[[maybe_unused]] const int handlers = pthread_atfork(
    [] {
      std::unique_lock lock(mutex.get());
      ++forking;
      close_gate(lock, changes);
      lock.release();  // held until after the fork
    },
    [] {
      --forking;
      closed = ended || forking > 0;
      changed.get().notify_all();
      mutex.get().unlock();
    },
    [] {  // where this thread is the only one, and changes nothing
      mutex.renew();
      changed.renew();
      ++fork_count;
      for (const auto reset : resets()) reset();
      accesses = own_accesses;
      changes = forking = 0;
      closed = ended;
    });

}  // namespace

std::mutex& process_mutex() { return mutex.get(); }
std::condition_variable& process_changed() { return changed.get(); }
int reset_in_child(void (*reset)()) {
  resets().push_back(reset);
  return 0;
}

int forks() { return fork_count.load(std::memory_order_relaxed); }

void begin_access() {
  ++accesses;
  ++own_accesses;
}
void end_access() {
  --own_accesses;
  if (--accesses == 0) changed.get().notify_all();
}
void begin_change() { ++changes; }
void end_change() {
  if (--changes == 0) changed.get().notify_all();
}
bool gate_is_closed() { return closed && passing != std::this_thread::get_id(); }
bool gate_may_be_closed() { return closed.load(std::memory_order_relaxed); }

void close_gate_for_good() {
  std::unique_lock lock(mutex.get());
  ended = true;
  close_gate(lock, accesses);
}

}  // namespace fallline
