// Recognizes files that stand for a file that was not downloaded. Without LibTorch.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace palate::models {

// FailedPrecondition that says what to do when `content`, the start of the file `path`, is that of
// a Git LFS pointer or of a web page. A clone without Git LFS leaves texts of about 130 bytes in
// place of weights, tokenizers and pictures; a download of the page that shows a file saves the
// page. Every reader of model files asks this before it parses.
absl::Status RefusePointerFile(const std::string& path, absl::string_view content);

}  // namespace palate::models
