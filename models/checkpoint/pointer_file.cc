#include "models/checkpoint/pointer_file.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace palate::models {

absl::Status RefusePointerFile(const std::string& path, absl::string_view content) {
  // The second is the name of Git LFS before its first release.
  for (const absl::string_view start :
       {"version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/"}) {
    if (!absl::StartsWith(content, start)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is a Git LFS pointer, not the file itself: run \"git lfs install\" ",
                     "and \"git lfs pull\" in its repository, or download the file"));
  }

  const absl::string_view text = absl::StripLeadingAsciiWhitespace(content.substr(0, 256));
  if (absl::StartsWithIgnoreCase(text, "<!doctype html") ||
      absl::StartsWithIgnoreCase(text, "<html")) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is a web page, not the file itself: download the raw file"));
  }
  return absl::OkStatus();
}

}  // namespace palate::models
