// palate-golden-check as a function: every fixture of a folder, checked and reported.
#pragma once

#include <ostream>
#include <string>

namespace palate::golden {

struct RunOptions {
  std::string folder;  // one fixture, or a folder that holds fixtures at any depth
  std::string
      published;  // what stands for checkpoint/ in fixtures of published weights; may be empty
};

// Prints one line a check and the count last. 0 when all passed, 1 when any failed, 2 when `folder`
// holds no fixture.
int Run(const RunOptions& options, std::ostream& out);

}  // namespace palate::golden
