// Text vectors of items, computed as the services do: one vector per text field, then their
// normalized mean. Thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/statusor.h"
#include "domain/item.h"
#include "models/families/bert/bert.h"

namespace palate::training {

// float32 [items, dimensions], rows of unit length. Slow: runs the text tower on every text field.
absl::StatusOr<at::Tensor> EncodeItems(const models::SentenceEncoder& encoder,
                                       const std::vector<Item>& items);

}  // namespace palate::training
