// palate-golden-check as a function: checks every fixture of a folder and prints a report.
#pragma once

#include <ostream>
#include <string>

namespace palate::golden {

struct RunOptions {
  std::string folder;     // one fixture, or a folder that holds fixtures at any depth
  std::string published;  // weights for fixtures without checkpoint/; may be empty
};

// Prints one line per check, and the counts last. Returns 0 when all passed, 1 when any failed, 2
// when `folder` holds no fixture. Sets the number of LibTorch threads of the process to 1.
int Run(const RunOptions& options, std::ostream& out);

}  // namespace palate::golden
