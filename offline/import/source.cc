#include "offline/import/source.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace palate::offline {
namespace {

constexpr size_t kMaxKept = 20;

}  // namespace

std::string Describe(const Malformed& malformed) {
  return absl::StrCat(malformed.file,
                      malformed.line > 0 ? absl::StrCat(" line ", malformed.line) : "",
                      malformed.column > 0 ? absl::StrCat(", column ", malformed.column) : "", ": ",
                      malformed.reason);
}

void SourceReport::AddMalformed(std::string file, int64_t line, std::string reason,
                                int64_t column) {
  ++malformed_count;
  if (malformed.size() < kMaxKept)
    malformed.push_back({std::move(file), line, column, std::move(reason)});
}

}  // namespace palate::offline
