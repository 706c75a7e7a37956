// Who may touch a model. Any number of readers at a time, or one that changes it, who lets waiting readers in between
// two of its steps; and one fit, for as long as it lives.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

namespace fallline {

class AccessGuard {
 public:
  // What is guarded, in messages.
  explicit AccessGuard(const char* subject);
  ~AccessGuard();
  AccessGuard(const AccessGuard&) = delete;
  AccessGuard& operator=(const AccessGuard&) = delete;

  // Waits for the next gap between two steps; a thread that reads already need not. Throws std::runtime_error at once
  // where this thread itself is inside a step.
  class Reading {
   public:
    Reading(AccessGuard& guard, const char* operation);
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    AccessGuard& guard_;
  };

  // Waits for readers and others who change it to leave. Throws std::runtime_error if this thread reads it.
  class Changing {
   public:
    // By the fit, or where there is none; by others who write, whom the steps of a fit refuse; and who write everything
    // anew, which mends what a fork has torn.
    enum Kind { step, writing, whole };
    Changing(AccessGuard& guard, const char* operation, Kind kind = step);
    ~Changing();
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

    // Between two steps: lets readers in who wait, forks and handlers of signals pass. Throws Interrupted.
    void gap();

   private:
    void enter(std::unique_lock<std::mutex>& lock);
    void leave();

    AccessGuard& guard_;
    Kind kind_;
  };

  // Keeps other fits away. Throws std::runtime_error.
  class Fit {
   public:
    Fit(AccessGuard& guard, const char* operation);
    ~Fit();
    Fit(const Fit&) = delete;
    Fit& operator=(const Fit&) = delete;

   private:
    AccessGuard& guard_;
  };

  // Who changes it should come to a gap.
  bool wanted() const;

  // In a child, whose only thread this is: the others' accesses are over.
  static void reset_all();

 private:
  [[noreturn]] void refuse(const char* operation, const std::string& got, const char* expected) const;
  void begin(const char* operation, bool whole) const;
  void reset();

  const char* subject_;
  int readers_ = 0;
  std::atomic<int> waiting_{0};  // readers
  int admitted_ = 0;             // of those, to come in before the next step
  bool changing_ = false;        // `changer_` is inside a step, not at a gap
  std::thread::id changer_, fit_;
  bool torn_ = false;  // the process was forked inside a step of another thread
};

// This thread runs Python from inside a step: it changes nothing meanwhile.
class OutsideChanges {
 public:
  OutsideChanges();
  ~OutsideChanges();
  OutsideChanges(const OutsideChanges&) = delete;
  OutsideChanges& operator=(const OutsideChanges&) = delete;

 private:
  int changes_;
};

// This thread is inside a step that has not written anything yet: handlers of signals may read the model.
class BeforeChanges {
 public:
  BeforeChanges();
  ~BeforeChanges();
  BeforeChanges(const BeforeChanges&) = delete;
  BeforeChanges& operator=(const BeforeChanges&) = delete;
};

}  // namespace fallline
