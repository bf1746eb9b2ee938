#include "models/checkpoint/pointer_file.h"

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
  return absl::OkStatus();
}

}  // namespace palate::models
