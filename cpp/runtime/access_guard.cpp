#include "runtime/access_guard.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <unordered_set>
#include <utility>
#include <vector>

#include "runtime/process.h"
#include "runtime/signals.h"

namespace fallline {
namespace {

using Lock = std::unique_lock<std::mutex>;

const std::thread::id nobody;

// Of this thread.
thread_local std::vector<const AccessGuard*> reading;
thread_local int changes = 0;           // under way
thread_local bool still_whole = false;  // the model that it changes

// Signals are handled meanwhile. Throws Interrupted.
template <class Condition>
void wait_until(Lock& lock, Condition condition) {
  while (!process_changed().wait_for(lock, std::chrono::milliseconds(20), condition)) {
    lock.unlock();
    handle_signals();
    lock.lock();
  }
}

// Never destroyed: guards may live until the process ends.
std::unordered_set<AccessGuard*>& guards() {
  static auto* all = new std::unordered_set<AccessGuard*>;
  return *all;
}

[[maybe_unused]] const int in_child = reset_in_child(AccessGuard::reset_all);

}  // namespace

AccessGuard::AccessGuard(const char* subject) : subject_(subject) {
  const Lock lock(process_mutex());
  guards().insert(this);
}

AccessGuard::~AccessGuard() {
  const Lock lock(process_mutex());
  guards().erase(this);
}

// At once, since the child's new threads get the names of those that are gone.
void AccessGuard::reset_all() {
  for (AccessGuard* guard : guards()) guard->reset();
}

void AccessGuard::reset() {
  const auto self = std::this_thread::get_id();
  readers_ = static_cast<int>(std::count(reading.begin(), reading.end(), this));
  waiting_ = admitted_ = 0;
  if (changer_ != self) {
    torn_ = torn_ || changing_;
    changing_ = false;
    changer_ = nobody;
  }
  if (fit_ != self) fit_ = nobody;
}

// What every access begins with.
void AccessGuard::begin(const char* operation, bool whole) const {
  if (torn_ && !whole)
    refuse(operation, "was inside an update of another thread when the process was forked",
           "set_weights() or load_model() before");
}

void AccessGuard::refuse(const char* operation, const std::string& got, const char* expected) const {
  throw std::runtime_error(std::string(operation) + ": the " + subject_ + " " + got + "; expected " + expected);
}

bool AccessGuard::wanted() const { return waiting_.load(std::memory_order_relaxed) > 0 || gate_may_be_closed(); }

AccessGuard::Reading::Reading(AccessGuard& guard, const char* operation) : guard_(guard) {
  Lock lock(process_mutex());
  guard.begin(operation, false);
  if (guard.changer_ == std::this_thread::get_id()) {
    if (guard.changing_ && !still_whole)
      guard.refuse(operation, "is inside an update that called this", "the call after the update");
  } else if (std::find(reading.begin(), reading.end(), &guard) == reading.end()) {
    ++guard.waiting_;
    // Between steps those come in who waited when the step ended; others let the next step begin.
    const auto open = [&] {
      return !gate_is_closed() && (guard.changer_ == nobody || (!guard.changing_ && guard.admitted_ > 0));
    };
    const auto come = [&] {
      --guard.waiting_;
      if (guard.admitted_ > 0) --guard.admitted_;
    };
    try {
      wait_until(lock, open);
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      come();
      process_changed().notify_all();
      throw;
    }
    come();
  }
  reading.push_back(&guard);
  ++guard.readers_;
  begin_access();
}

AccessGuard::Reading::~Reading() {
  const Lock lock(process_mutex());
  if (const auto own = std::find(reading.begin(), reading.end(), &guard_); own != reading.end()) reading.erase(own);
  end_access();
  if (--guard_.readers_ == 0) process_changed().notify_all();
}

AccessGuard::Changing::Changing(AccessGuard& guard, const char* operation, Kind kind) : guard_(guard), kind_(kind) {
  Lock lock(process_mutex());
  guard.begin(operation, kind == whole);
  const auto self = std::this_thread::get_id();
  if (guard.changer_ == self)
    guard.refuse(operation, "is inside an update that called this", "the call after the update");
  if (guard.changer_ != nobody && guard.fit_ != nobody && kind != step)
    guard.refuse(operation, "is being trained by another thread", "one at a time");
  if (std::find(reading.begin(), reading.end(), &guard) != reading.end())
    guard.refuse(operation, "is being read by what called this", "the call after it");
  wait_until(lock, [&] { return guard.changer_ == nobody; });
  guard.changer_ = self;
  try {
    enter(lock);
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    guard.changer_ = nobody;
    process_changed().notify_all();
    throw;
  }
}

AccessGuard::Changing::~Changing() {
  const Lock lock(process_mutex());
  if (kind_ == whole) guard_.torn_ = false;
  leave();
  guard_.changer_ = nobody;
  guard_.admitted_ = guard_.waiting_;
  process_changed().notify_all();
}

void AccessGuard::Changing::enter(Lock& lock) {
  // Where the gate is closed to readers, who passes it does not wait for them.
  wait_until(lock, [&] {
    return guard_.readers_ == 0 && !gate_is_closed() && (guard_.admitted_ == 0 || gate_may_be_closed());
  });
  guard_.changing_ = true;
  ++changes;
  begin_access();
  begin_change();
}

void AccessGuard::Changing::leave() {
  if (!std::exchange(guard_.changing_, false)) return;
  --changes;
  end_change();
  end_access();
}

void AccessGuard::Changing::gap() {
  if (!guard_.wanted() && !signals_due()) return;
  Lock lock(process_mutex());
  leave();
  lock.unlock();
  handle_signals();
  lock.lock();
  guard_.admitted_ = guard_.waiting_;
  process_changed().notify_all();
  enter(lock);
}

AccessGuard::Fit::Fit(AccessGuard& guard, const char* operation) : guard_(guard) {
  const Lock lock(process_mutex());
  guard.begin(operation, true);
  const auto self = std::this_thread::get_id();
  if (guard.fit_ == self) guard.refuse(operation, "is in a fit that this is called from", "the call after that fit");
  if (guard.fit_ != nobody) guard.refuse(operation, "is being trained by another thread", "one at a time");
  guard.fit_ = self;
}

AccessGuard::Fit::~Fit() {
  const Lock lock(process_mutex());
  guard_.fit_ = nobody;
}

OutsideChanges::OutsideChanges() : changes_(std::exchange(changes, 0)) {
  if (changes_ == 0) return;
  const Lock lock(process_mutex());
  for (int i = 0; i < changes_; ++i) end_change();
}

OutsideChanges::~OutsideChanges() {
  changes += changes_;
  if (changes_ == 0) return;
  const Lock lock(process_mutex());
  for (int i = 0; i < changes_; ++i) begin_change();
}

BeforeChanges::BeforeChanges() { still_whole = true; }
BeforeChanges::~BeforeChanges() { still_whole = false; }

}  // namespace fallline
