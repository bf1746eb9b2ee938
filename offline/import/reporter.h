// Output of a long-running command for its user: lines, and a progress bar per step. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace palate::offline {

class Reporter {
 public:
  virtual ~Reporter() = default;
  // Prints a line.
  virtual void Say(const std::string& line) = 0;
  // Begins a step and returns the function that updates its progress. A step ends when the next one
  // begins or a line is printed.
  virtual std::function<void(int64_t done, int64_t total)> Step(const std::string& label) = 0;
};

}  // namespace palate::offline
