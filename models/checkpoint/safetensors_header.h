// The header of a safetensors file, read without trust: a downloaded file may hold anything.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/safetensors.h"

namespace palate::models {

// Before the header stands its length, little-endian.
inline constexpr size_t kSafetensorsLengthBytes = 8;

// Reads the header at the front of `bytes`, the whole content of a file. The entries of `tensors`
// point into `bytes`.
//
// DataLoss naming the problem: a length beyond the file or above the format's bound of 100 MB, text
// that is not UTF-8 JSON, a key that occurs twice, anything but {"name": {"dtype", "shape",
// "data_offsets"}} and a flat "__metadata__", an unknown dtype, a size that overflows or disagrees
// with its byte range, ranges that overlap, leave gaps or leave the file. The header is read as a
// stream of events, so that neither depth nor size costs more memory than the tensors it names.
absl::Status ParseSafetensorsHeader(absl::string_view bytes,
                                    std::map<std::string, TensorEntry>& tensors,
                                    std::map<std::string, std::string>& metadata);

}  // namespace palate::models
