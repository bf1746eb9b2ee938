// Fuzzes the safetensors reader with arbitrary bytes as a whole file. Accepted tensors must lie
// inside the file, and must be unchanged after they are written and read again.

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "models/checkpoint/safetensors.h"
#include "models/checkpoint/safetensors_header.h"
#include "tests/fuzz/fuzz.h"

namespace palate::models {
namespace {

using Tensors = std::map<std::string, TensorEntry>;

void CheckEntries(const Tensors& tensors, absl::string_view file) {
  for (const auto& [name, entry] : tensors) {
    size_t bytes = TensorTypeSize(entry.type);
    for (const int64_t size : entry.shape) bytes *= static_cast<size_t>(size);
    FUZZ_CHECK(bytes == entry.data.size());
    FUZZ_CHECK(TensorTypeByName(TensorTypeName(entry.type)) == entry.type);
    if (entry.data.empty()) continue;
    FUZZ_CHECK(entry.data.data() >= file.data() &&
               entry.data.data() + entry.data.size() <= file.data() + file.size());
  }
}

// Writes and reads a file, because the reader maps files.
void CheckRewritten(const Tensors& tensors, const std::map<std::string, std::string>& metadata) {
  const std::string path = fuzz::Scratch("rewritten.safetensors");
  FUZZ_CHECK(WriteSafetensors(path, tensors, metadata).ok());

  const auto file = SafetensorsFile::Open(path);
  FUZZ_CHECK(file.ok());
  FUZZ_CHECK(file->metadata() == metadata);
  FUZZ_CHECK(file->tensors().size() == tensors.size());

  for (const auto& [name, entry] : tensors) {
    const TensorEntry& again = file->tensors().at(name);
    FUZZ_CHECK(again.type == entry.type && again.shape == entry.shape && again.data == entry.data);
  }
}

}  // namespace
}  // namespace palate::models

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace palate::models;
  const absl::string_view file(reinterpret_cast<const char*>(data), size);
  Tensors tensors;
  std::map<std::string, std::string> metadata;
  if (!ParseSafetensorsHeader(file, tensors, metadata).ok()) return 0;
  CheckEntries(tensors, file);
  CheckRewritten(tensors, metadata);
  return 0;
}
