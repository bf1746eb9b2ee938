#include "embedding/model_info.h"

#include "absl/strings/str_cat.h"

namespace palate::embedding {

const SpaceInfo* ModelInfo::FindSpace(const std::string& space) const {
  for (const SpaceInfo& info : spaces) {
    if (info.name == space) return &info;
  }
  return nullptr;
}

std::string FingerprintFor(const SpaceInfo& space, int dimensions, int model_dimensions) {
  return dimensions == model_dimensions ? space.fingerprint
                                        : absl::StrCat(space.fingerprint, "@", dimensions);
}

}  // namespace palate::embedding
