// Items' text vectors as the services make them: every text field by itself, then the normalized
// mean. Thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/statusor.h"
#include "domain/item.h"
#include "models/families/bert/bert.h"

namespace palate::training {

// float32 [items, dimensions], unit length. Slow: forwards of the text tower.
absl::StatusOr<at::Tensor> EncodeItems(const models::SentenceEncoder& encoder,
                                       const std::vector<Item>& items);

}  // namespace palate::training
