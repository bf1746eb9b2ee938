#include "offline/import/source.h"

#include <utility>

namespace palate::offline {
namespace {

constexpr size_t kMaxKept = 20;

}  // namespace

void SourceReport::AddMalformed(std::string file, int64_t line, std::string reason) {
  ++malformed_count;
  if (malformed.size() < kMaxKept) malformed.push_back({std::move(file), line, std::move(reason)});
}

}  // namespace palate::offline
