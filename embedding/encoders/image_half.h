// The image half of a dual encoder: a vision transformer that projects into the text space, or an
// EfficientNet-Lite with a ConSE head. Internal to embedding/.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "embedding/encoders/loading.h"
#include "embedding/encoders/towers.h"
#include "models/checkpoint/json_config.h"

namespace palate::embedding {

// An image tower and what is read from its folders.
struct ImageHalf {
  std::unique_ptr<const ImageTower> tower;  // null: the folder has no weights
  int image_size = 0;
  std::string weights_digest;
  std::vector<std::string> unknown_config_keys;
  // Everything that the image space's vectors depend on.
  std::string content;
};

// Reads "vision" of dual_encoder.json, whose folders are relative to `folder`: "folder" and
// "pooling" for a vision transformer, "folder" and "head" for an EfficientNet-Lite. InvalidArgument
// when the parts do not fit each other or a text space of `dimensions`, Unimplemented for another
// family.
absl::StatusOr<ImageHalf> LoadImageHalf(const models::JsonConfig& vision, const std::string& folder,
                                        int dimensions, const Placement& placement);

}  // namespace palate::embedding
