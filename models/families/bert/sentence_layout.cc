#include "models/families/bert/sentence_layout.h"

#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"
#include "nlohmann/json.hpp"

namespace palate::models {
namespace {

constexpr int64_t kMaxWidth = 1 << 16;

struct PoolingRow {
  const char* flag;  // the key in early files
  const char* name;  // the value of "pooling_mode" in later files
  TextPooling pooling;
};
constexpr std::array<PoolingRow, 5> kPoolings = {
    {{"pooling_mode_mean_tokens", "mean", TextPooling::kMean},
     {"pooling_mode_cls_token", "cls", TextPooling::kCls},
     {"pooling_mode_max_tokens", "max", TextPooling::kMax},
     {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", TextPooling::kMeanSqrtLen},
     {"pooling_mode_lasttoken", "lasttoken", TextPooling::kLastToken}}};

absl::Status UnsupportedPooling(const JsonConfig& json, absl::string_view name) {
  return absl::UnimplementedError(absl::StrCat(
      json.source(), ": ", QuoteForMessage(name),
      " is not supported; supported are mean, cls, max, mean_sqrt_len_tokens and lasttoken"));
}

absl::StatusOr<TextPooling> PoolingFromFlags(const JsonConfig& json) {
  int modes = 0;
  TextPooling pooling = TextPooling::kMean;

  for (const auto& [key, value] : json.json().items()) {
    if (!absl::StartsWith(key, "pooling_mode_")) continue;
    PALATE_ASSIGN_OR_RETURN(const bool enabled, json.BoolOr(key, false));
    if (!enabled) continue;
    ++modes;
    bool known = false;
    for (const PoolingRow& row : kPoolings) {
      if (key != row.flag) continue;
      pooling = row.pooling;
      known = true;
    }
    if (!known) return UnsupportedPooling(json, key);
  }

  if (modes > 1)
    return absl::UnimplementedError(
        absl::StrCat(json.source(), ": ", modes, " combined kinds of pooling are not supported"));
  if (modes == 0)
    return absl::InvalidArgumentError(absl::StrCat(json.source(), " enables no kind of pooling"));

  return pooling;
}

// "pooling_mode": a name, or a list of names of which several would be concatenated.
absl::StatusOr<std::string> PoolingName(const JsonConfig& json) {
  const nlohmann::json& value = json.json().at("pooling_mode");
  if (!value.is_array()) return json.String("pooling_mode");

  if (value.empty())
    return absl::InvalidArgumentError(absl::StrCat(json.source(), " enables no kind of pooling"));
  if (value.size() > 1) {
    return absl::UnimplementedError(absl::StrCat(json.source(), ": ", value.size(),
                                                 " combined kinds of pooling are not supported"));
  }
  if (!value[0].is_string()) {
    return absl::InvalidArgumentError(
        absl::StrCat(json.source(), ": \"pooling_mode\" is not a list of names"));
  }
  return value[0].get<std::string>();
}

absl::StatusOr<TextPooling> ReadPooling(const std::string& folder, bool& include_prompt) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig json, JsonConfig::Load(folder + "/config.json"));
  PALATE_ASSIGN_OR_RETURN(include_prompt, json.BoolOr("include_prompt", true));
  if (!json.Has("pooling_mode")) return PoolingFromFlags(json);

  PALATE_ASSIGN_OR_RETURN(const std::string name, PoolingName(json));
  for (const PoolingRow& row : kPoolings) {
    if (absl::EqualsIgnoreCase(name, row.name)) return row.pooling;
  }
  return UnsupportedPooling(json, name);
}

// Reads the last part of a class name such as "torch.nn.modules.activation.Tanh".
absl::StatusOr<DenseActivation> ReadDenseActivation(const JsonConfig& json) {
  PALATE_ASSIGN_OR_RETURN(const std::string name,
                          json.StringOr("activation_function", "torch.nn.modules.activation.Tanh"));

  const std::string last = name.substr(name.rfind('.') + 1);
  if (last == "Identity") return DenseActivation::kIdentity;
  if (last == "Tanh") return DenseActivation::kTanh;
  if (last == "ReLU") return DenseActivation::kRelu;
  if (last == "GELU") return DenseActivation::kGelu;
  if (last == "Sigmoid") return DenseActivation::kSigmoid;
  return absl::UnimplementedError(
      absl::StrCat(json.source(), ": activation_function ", QuoteForMessage(name),
                   " is not supported; supported are Identity, Tanh, ReLU, GELU and Sigmoid"));
}

absl::StatusOr<DenseModule> ReadDense(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig json, JsonConfig::Load(folder + "/config.json"));
  DenseModule dense{.folder = folder};
  PALATE_ASSIGN_OR_RETURN(dense.in_features, json.IntIn("in_features", 1, kMaxWidth));
  PALATE_ASSIGN_OR_RETURN(dense.out_features, json.IntIn("out_features", 1, kMaxWidth));
  PALATE_ASSIGN_OR_RETURN(dense.bias, json.BoolOr("bias", true));
  PALATE_ASSIGN_OR_RETURN(dense.activation, ReadDenseActivation(json));
  return dense;
}

// Reads the entries of modules.json in order: transformer, pooling, dense layers, normalization.
class ModuleReader {
 public:
  ModuleReader(std::string folder, SentenceLayout& layout)
      : folder_(std::move(folder)), layout_(layout) {}

  absl::Status Read(const nlohmann::json& module) {
    if (!module.is_object() || !module.contains("type") || !module["type"].is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(Source(), " has an entry without a type"));
    }

    const std::string type = module["type"].get<std::string>();
    const std::string path = module.contains("path") && module["path"].is_string()
                                 ? module["path"].get<std::string>()
                                 : "";

    if (absl::StrContains(path, "..") || absl::StartsWith(path, "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat(Source(), ": the path ", QuoteForMessage(path), " leaves the folder"));
    }

    if (layout_.normalize)
      return absl::UnimplementedError(
          absl::StrCat(Source(), ": a module after the normalization is not supported"));

    // Early files call a transformer by its family.
    if (absl::EndsWith(type, ".Transformer") || absl::EndsWith(type, ".BERT"))
      return Transformer(path);
    if (!transformer_)
      return absl::InvalidArgumentError(
          absl::StrCat(Source(), " does not begin with a transformer"));

    if (absl::EndsWith(type, ".Pooling")) return Pooling(absl::StrCat(folder_, "/", path));
    if (!pooling_)
      return absl::UnimplementedError(
          absl::StrCat(Source(), ": module ", QuoteForMessage(type), " before the pooling"));

    if (absl::EndsWith(type, ".Dense")) {
      PALATE_ASSIGN_OR_RETURN(layout_.dense.emplace_back(),
                              ReadDense(absl::StrCat(folder_, "/", path)));
      return absl::OkStatus();
    }

    if (absl::EndsWith(type, ".Normalize")) {
      layout_.normalize = true;
      return absl::OkStatus();
    }

    if (absl::EndsWith(type, ".Dropout"))
      return absl::OkStatus();  // has no effect outside of training

    return absl::UnimplementedError(
        absl::StrCat(Source(), ": module ", QuoteForMessage(type), " is not supported"));
  }

  // Call after the last module.
  absl::Status Finish() const {
    if (!pooling_) return absl::InvalidArgumentError(absl::StrCat(Source(), " has no pooling"));
    if (!include_prompt_ && !(layout_.prompts.query.empty() && layout_.prompts.document.empty())) {
      return absl::UnimplementedError(absl::StrCat(
          folder_, ": pooling that leaves the prompt out (include_prompt) is not supported"));
    }
    return absl::OkStatus();
  }

 private:
  std::string Source() const { return folder_ + "/modules.json"; }

  absl::Status Transformer(const std::string& path) {
    if (transformer_)
      return absl::UnimplementedError(
          absl::StrCat(Source(), ": a second transformer is not supported"));
    if (!path.empty()) layout_.transformer = InFolder(folder_, path);
    transformer_ = true;
    return absl::OkStatus();
  }

  absl::Status Pooling(const std::string& folder) {
    if (pooling_)
      return absl::UnimplementedError(
          absl::StrCat(Source(), ": a second pooling is not supported"));
    PALATE_ASSIGN_OR_RETURN(layout_.pooling, ReadPooling(folder, include_prompt_));
    pooling_ = true;
    layout_.pooling_is_stated = true;
    return absl::OkStatus();
  }

  const std::string folder_;
  SentenceLayout& layout_;
  bool transformer_ = false;
  bool pooling_ = false;
  bool include_prompt_ = true;
};

absl::StatusOr<nlohmann::json> LoadModules(const std::string& path) {
  PALATE_ASSIGN_OR_RETURN(const std::string text, ReadFileToString(path));
  const nlohmann::json modules = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!modules.is_array())
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a JSON list"));
  return modules;
}

absl::Status ReadModules(const std::string& folder, SentenceLayout& layout) {
  const std::string path = folder + "/modules.json";
  if (!FileExists(path)) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json modules, LoadModules(path));

  ModuleReader reader(folder, layout);
  for (const nlohmann::json& module : modules) PALATE_RETURN_IF_ERROR(reader.Read(module));
  return reader.Finish();
}

absl::StatusOr<SentencePrompts> ReadPrompts(const JsonConfig& json) {
  SentencePrompts result;
  if (!json.Has("prompts")) return result;
  PALATE_ASSIGN_OR_RETURN(const JsonConfig prompts, json.Object("prompts"));

  PALATE_ASSIGN_OR_RETURN(result.query, prompts.StringOr("query", ""));
  for (const char* name : {"document", "passage", "corpus"}) {
    if (!prompts.Has(name)) continue;
    PALATE_ASSIGN_OR_RETURN(result.document, prompts.String(name));
    break;
  }
  return result;
}

}  // namespace

absl::StatusOr<std::string> TransformerFolder(const std::string& folder) {
  const std::string path = folder + "/modules.json";
  if (!FileExists(path)) return folder;
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json modules, LoadModules(path));

  // The first module decides; a list that does not begin with a transformer is refused here.
  SentenceLayout layout;
  layout.transformer = folder;
  if (!modules.empty()) PALATE_RETURN_IF_ERROR(ModuleReader(folder, layout).Read(modules[0]));
  return layout.transformer;
}

absl::StatusOr<SentenceLayout> ReadSentenceLayout(const std::string& folder) {
  SentenceLayout layout;
  layout.transformer = folder;
  if (const std::string path = folder + "/config_sentence_transformers.json"; FileExists(path)) {
    PALATE_ASSIGN_OR_RETURN(const JsonConfig json, JsonConfig::Load(path));
    PALATE_ASSIGN_OR_RETURN(layout.prompts, ReadPrompts(json));
  }

  PALATE_RETURN_IF_ERROR(ReadModules(folder, layout));

  if (const std::string path = InFolder(layout.transformer, "sentence_bert_config.json");
      FileExists(path)) {
    PALATE_ASSIGN_OR_RETURN(const JsonConfig json, JsonConfig::Load(path));
    PALATE_ASSIGN_OR_RETURN(layout.max_tokens, json.IntOr("max_seq_length", 0));
    if (layout.max_tokens < 0)
      return absl::InvalidArgumentError(absl::StrCat(path, ": max_seq_length is negative"));
    PALATE_ASSIGN_OR_RETURN(layout.lower_case, json.BoolOr("do_lower_case", false));
  }

  return layout;
}

}  // namespace palate::models
