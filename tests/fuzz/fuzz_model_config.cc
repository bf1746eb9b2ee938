// Fuzzes the config readers of the code that needs LibTorch: encoders, dual encoders,
// vision-language models, image processors, sentence layouts. Every reader gets the same text and
// must return, with a valid config or an error.

#include <cstdint>
#include <fstream>
#include <string>

#include "absl/strings/string_view.h"
#include "models/checkpoint/json_config.h"
#include "models/families/bert/bert.h"
#include "models/families/bert/sentence_layout.h"
#include "models/families/clip/clip.h"
#include "models/families/qwen2_5_vl/qwen2_5_vl_config.h"
#include "models/families/qwen2_5_vl/vision.h"
#include "models/families/qwen3_vl/qwen3_vl_config.h"
#include "models/families/qwen3_vl/vision.h"
#include "models/families/siglip/siglip.h"
#include "models/families/vit/vit.h"
#include "models/image/processor.h"
#include "models/image/vl_processor.h"
#include "tests/fuzz/fuzz.h"

namespace palate::models {
namespace {

void ReadAsModel(const JsonConfig& config) {
  BertConfig::FromJson(config).status().IgnoreError();
  VitConfig::FromJson(config).status().IgnoreError();
  ClipConfig::FromJson(config).status().IgnoreError();
  SiglipConfig::FromJson(config).status().IgnoreError();
  if (const auto vl = ReadQwen25VlConfig(config); vl.ok()) {
    FUZZ_CHECK(vl->decoder.Validate().ok());
    Qwen25VisionConfig::FromJson(vl->vision).status().IgnoreError();
  }
  if (const auto vl = ReadQwen3VlConfig(config); vl.ok()) {
    FUZZ_CHECK(vl->decoder.Validate().ok());
    Qwen3VisionConfig::FromJson(vl->vision).status().IgnoreError();
  }
}

void ReadAsProcessor(const JsonConfig& config) {
  const auto fixed = ImageProcessorConfig::FromJson(config);
  if (fixed.ok()) ImageProcessor::Create(*fixed).status().IgnoreError();

  const auto patches = VlProcessorConfig::FromJson(config);
  if (!patches.ok()) return;
  const auto processor = VlImageProcessor::Create(*patches);
  if (!processor.ok()) return;

  for (const int64_t side : {1, 56, 3000}) {
    const auto tokens = processor->TokensFor({side, 2 * side});
    FUZZ_CHECK(!tokens.ok() || *tokens > 0);
  }
}

void Write(const std::string& name, absl::string_view text) {
  std::ofstream file(fuzz::Scratch(name), std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
}

void ReadAsSentenceLayout(absl::string_view text) {
  for (const char* name :
       {"modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"})
    Write(name, text);
  ReadSentenceLayout(fuzz::ScratchFolder()).status().IgnoreError();
}

}  // namespace
}  // namespace palate::models

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace palate::models;

  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<JsonConfig> config = JsonConfig::Parse(text, "fuzz.json");
  if (!config.ok()) return 0;

  ReadAsModel(*config);
  ReadAsProcessor(*config);
  ReadAsSentenceLayout(text);
  return 0;
}
