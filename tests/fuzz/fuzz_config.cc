// Fuzzes the readers of a model folder's JSON files that need no LibTorch: the decoder families'
// config.json, the adapter's, the shard index. They must either refuse a text or accept a config
// that passes validation. fuzz_model_config.cc covers the other families.

#include <cstdint>
#include <fstream>
#include <string>

#include "absl/strings/string_view.h"
#include "models/checkpoint/adapter.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/json_config.h"
#include "models/families.h"
#include "models/families/llama/llama_config.h"
#include "models/families/qwen2/qwen2_config.h"
#include "models/families/qwen3/qwen3_config.h"
#include "models/registry.h"
#include "tests/fuzz/fuzz.h"

namespace palate::models {
namespace {

void CheckDecoder(const absl::StatusOr<DecoderConfig>& config) {
  if (!config.ok()) return;
  FUZZ_CHECK(config->num_heads > 0 && config->num_kv_heads > 0 && config->head_dim > 0 &&
             config->num_layers > 0);
  FUZZ_CHECK(config->num_heads % config->num_kv_heads == 0);
  FUZZ_CHECK(config->Validate().ok());
}

void ReadAsConfig(const JsonConfig& config) {
  FindModelFamily(config).status().IgnoreError();
  CheckDecoder(ReadQwen2Config(config));
  CheckDecoder(ReadQwen3Config(config));
  CheckDecoder(ReadLlamaConfig(config));
  CheckDecoder(ReadDecoderConfig(config));
}

void Write(const std::string& name, absl::string_view text) {
  std::ofstream file(fuzz::Scratch(name), std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
}

// Reads the text as files of a folder, for readers of more than one file.
void ReadAsFolder(absl::string_view text) {
  Write("adapter_config.json", text);
  Adapter::Open(fuzz::ScratchFolder()).status().IgnoreError();
  AdapterBaseFolder(fuzz::ScratchFolder()).status().IgnoreError();

  Write("config.json", "{}");
  Write("model.safetensors.index.json", text);
  Checkpoint::Open(fuzz::ScratchFolder()).status().IgnoreError();
}

}  // namespace
}  // namespace palate::models

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace palate::models;

  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<JsonConfig> config = JsonConfig::Parse(text, "fuzz.json");
  if (!config.ok()) return 0;

  ReadAsConfig(*config);
  ReadAsFolder(text);
  return 0;
}
