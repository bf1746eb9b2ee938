// How a long-running command tells a person what it does: lines, and a progress bar per step. Used
// from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace palate::offline {

class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void Say(const std::string& line) = 0;
  // Begins a step; the returned function says how far it is. A step ends when the next begins or
  // something is said.
  virtual std::function<void(int64_t done, int64_t total)> Step(const std::string& label) = 0;
};

}  // namespace palate::offline
