#include "models/families.h"

#include <array>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/families/llama/llama_config.h"
#include "models/families/qwen2/qwen2_config.h"
#include "models/families/qwen3/qwen3_config.h"

namespace palate::models {
namespace {

struct ReaderRow {
  ModelFamily family;
  absl::StatusOr<DecoderConfig> (*read)(const JsonConfig& config);
};
constexpr auto kReaders = std::to_array<ReaderRow>({
    {ModelFamily::kQwen2, ReadQwen2Config},
    {ModelFamily::kQwen3, ReadQwen3Config},
    {ModelFamily::kLlama, ReadLlamaConfig},
});

const ReaderRow* FindReader(ModelFamily family) {
  for (const ReaderRow& row : kReaders) {
    if (row.family == family) return &row;
  }
  return nullptr;
}

}  // namespace

bool IsTextDecoder(ModelFamily family) { return FindReader(family) != nullptr; }

absl::StatusOr<DecoderConfig> ReadDecoderConfig(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const ModelFamily family, FindModelFamily(config));
  const ReaderRow* const reader = FindReader(family);

  if (reader == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat(config.source(), ": ", ModelFamilyName(family), " is not a text decoder"));
  }
  return reader->read(config);
}

}  // namespace palate::models
