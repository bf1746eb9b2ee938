// The demo's product pictures as files, from which offline/training/image_head learns what drawings
// show.
//
// Usage:
//   PALATE_RETURN_IF_ERROR(WriteDrawings({.out = "drawings", .products = 900}));
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "offline/demo/shop.h"
#include "offline/training/splits.h"

namespace palate::training {

struct DrawingsOptions {
  std::string out;  // folder; created if needed
  Split split = Split::kTraining;
  uint64_t seed = 1;
  int products = 900;
  int size = 224;  // of a picture's side, in pixels
};

// "a red porcelain mug"
std::string CaptionOf(const demo::Product& product);

// The first `count` products of the split's shops.
absl::StatusOr<std::vector<demo::Product>> ProductsOf(Split split, uint64_t seed, int count);

// Writes one PNG for each product and products.jsonl, one object a line: "file" (relative to the
// folder), "caption", "kind", "color", "pattern", and "text", the fields of the product's text as
// the services embed them, joined by line breaks. Thread-safe for different folders.
absl::Status WriteDrawings(const DrawingsOptions& options);

}  // namespace palate::training
