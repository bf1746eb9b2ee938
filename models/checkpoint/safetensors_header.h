// Parses the header of a safetensors file. The file is untrusted: a download may contain anything.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/safetensors.h"

namespace palate::models {

// Size of the header length at the start of the file, a little-endian integer.
inline constexpr size_t kSafetensorsLengthBytes = 8;

// Parses the header at the start of `bytes`, the whole content of a file. The entries of `tensors`
// point into `bytes`.
//
// DataLoss naming the problem: a length beyond the file or above the format's limit of 100 MB; a
// header that is not UTF-8 JSON; a duplicate key; anything but {"name": {"dtype", "shape",
// "data_offsets"}} and a flat "__metadata__"; an unknown dtype; a size that overflows or differs
// from its byte range; ranges that overlap, leave gaps or exceed the file. The header is parsed as
// a stream of events, so that neither depth nor size costs more memory than the tensors it names.
absl::Status ParseSafetensorsHeader(absl::string_view bytes,
                                    std::map<std::string, TensorEntry>& tensors,
                                    std::map<std::string, std::string>& metadata);

}  // namespace palate::models
