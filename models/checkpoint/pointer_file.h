// Recognizes files that stand for a file that was not downloaded. Without LibTorch.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace palate::models {

// FailedPrecondition that says what to do when `content`, the start of the file `path`, is that of
// a Git LFS pointer: a clone without Git LFS leaves such texts of about 130 bytes in place of
// weights, tokenizers and pictures. Every reader of model files asks this before it parses.
absl::Status RefusePointerFile(const std::string& path, absl::string_view content);

}  // namespace palate::models
