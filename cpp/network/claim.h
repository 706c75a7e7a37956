// Who may touch a model: any number of readers, or one that writes.
#pragma once

#include <atomic>
#include <stdexcept>
#include <string>

namespace fallline {

class Claim {
 public:
  enum Kind { reading, writing };

  // users: n > 0 readers, or -1. Throws std::runtime_error instead of waiting.
  Claim(std::atomic<int>& users, Kind kind, const char* operation) : users_(users), kind_(kind) {
    int now = users.load();
    do {
      if (now < 0 || (kind == writing && now > 0))
        throw std::runtime_error(std::string(operation) + ": the model is " + (now < 0 ? "being trained" : "in use") +
                                 " by another thread; expected one at a time");
    } while (!users.compare_exchange_weak(now, kind == writing ? -1 : now + 1));
  }
  ~Claim() {
    if (kind_ == writing)
      users_.store(0);
    else
      users_.fetch_sub(1);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  std::atomic<int>& users_;
  Kind kind_;
};

}  // namespace fallline
