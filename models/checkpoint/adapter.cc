#include "models/checkpoint/adapter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <optional>
#include <regex>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/bytes.h"
#include "base/status.h"

namespace palate::models {
namespace {

constexpr char kConfigFile[] = "adapter_config.json";
constexpr char kWeightsFile[] = "adapter_model.safetensors";
// PEFT wraps the model in two modules, which prefix every tensor name.
constexpr absl::string_view kWrapper = "base_model.model.";
constexpr int64_t kMaxRank = 1 << 16;
// Patterns are regular expressions that std::regex matches by backtracking. These limits bound the
// recursion that a hostile pattern can cause.
constexpr size_t kMaxPatternBytes = 256;
constexpr size_t kMaxModuleBytes = 512;

absl::Status Unsupported(const JsonConfig& config, absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat(config.source(), ": ", what));
}

// Numbers by module pattern, in the order of the file; the first match applies.
using Pattern = std::vector<std::pair<std::string, double>>;

struct LoraConfig {
  int64_t rank = 0;
  double alpha = 0;
  bool rank_stabilized = false;
  Pattern rank_pattern;
  Pattern alpha_pattern;
  // Absent if "target_modules" is a regular expression or "all-linear".
  std::optional<std::vector<std::string>> targets;
  std::vector<std::string> saved_modules;
};

// Refuses settings that change the computation in ways that merging A and B does not cover.
absl::Status CheckSupported(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string type, config.String("peft_type"));
  if (type != "LORA")
    return Unsupported(
        config, absl::StrCat("peft_type ", QuoteForMessage(type), " is not supported, only LORA"));

  PALATE_ASSIGN_OR_RETURN(const std::string bias, config.StringOr("bias", "none"));
  if (bias != "none")
    return Unsupported(
        config, absl::StrCat("bias ", QuoteForMessage(bias), " is not supported, only none"));

  for (const char* flag : {"use_dora", "lora_bias", "use_qalora", "use_bdlora"}) {
    PALATE_ASSIGN_OR_RETURN(const bool set, config.BoolOr(flag, false));
    if (set) return Unsupported(config, absl::StrCat(flag, " is not supported"));
  }
  for (const char* key : {"layer_replication", "trainable_token_indices", "target_parameters",
                          "alora_invocation_tokens"}) {
    if (config.Has(key) && !config.json().at(key).empty())
      return Unsupported(config, absl::StrCat(key, " is not supported"));
  }

  if (!config.Has("init_lora_weights") || config.json().at("init_lora_weights").is_boolean())
    return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const std::string start, config.String("init_lora_weights"));
  // Other methods (pissa, olora, loftq, corda, …) subtract the initial B A from the base's weights.
  constexpr std::array<absl::string_view, 3> kKeepBase = {"gaussian", "eva", "orthogonal"};
  if (std::find(kKeepBase.begin(), kKeepBase.end(), start) != kKeepBase.end())
    return absl::OkStatus();
  return Unsupported(config, absl::StrCat("init_lora_weights ", QuoteForMessage(start),
                                          " is not supported: it changes the base's weights"));
}

absl::StatusOr<std::vector<std::string>> Names(const JsonConfig& config, absl::string_view key) {
  std::vector<std::string> names;
  if (!config.Has(key)) return names;

  const nlohmann::json& list = config.json().at(std::string(key));
  for (const nlohmann::json& name : list.is_array() ? list : nlohmann::json::array({list})) {
    if (!name.is_string())
      return absl::InvalidArgumentError(
          absl::StrCat(config.source(), ": \"", key, "\" is not a list of names"));
    names.push_back(name.get<std::string>());
  }
  return names;
}

// `ordered` is the same file, parsed with its key order kept.
absl::StatusOr<Pattern> ReadPattern(const JsonConfig& config, const nlohmann::ordered_json& ordered,
                                    const char* key) {
  Pattern pattern;
  if (!config.Has(key)) return pattern;
  if (!ordered.at(key).is_object())
    return absl::InvalidArgumentError(
        absl::StrCat(config.source(), ": \"", key, "\" is not an object"));

  for (const auto& [modules, value] : ordered.at(key).items()) {
    if (!value.is_number() || !(value.get<double>() > 0) || modules.size() > kMaxPatternBytes) {
      return absl::InvalidArgumentError(absl::StrCat(config.source(), ": \"", key,
                                                     "\" has no positive number for ",
                                                     QuoteForMessage(modules)));
    }
    pattern.emplace_back(modules, value.get<double>());
  }
  return pattern;
}

absl::StatusOr<LoraConfig> ReadConfig(const std::string& path) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig config, JsonConfig::Load(path));
  PALATE_RETURN_IF_ERROR(CheckSupported(config));

  LoraConfig result;
  PALATE_ASSIGN_OR_RETURN(result.rank, config.IntIn("r", 1, kMaxRank));
  PALATE_ASSIGN_OR_RETURN(result.alpha, config.Double("lora_alpha"));
  PALATE_ASSIGN_OR_RETURN(result.rank_stabilized, config.BoolOr("use_rslora", false));

  // "fan_in_fan_out" is for layers that store their weight transposed. Our families have none, and
  // PEFT ignores the flag for other layers.
  PALATE_RETURN_IF_ERROR(config.BoolOr("fan_in_fan_out", false).status());

  PALATE_ASSIGN_OR_RETURN(const std::string text, ReadFileToString(path));
  const nlohmann::ordered_json ordered =
      nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  PALATE_ASSIGN_OR_RETURN(result.rank_pattern, ReadPattern(config, ordered, "rank_pattern"));
  PALATE_ASSIGN_OR_RETURN(result.alpha_pattern, ReadPattern(config, ordered, "alpha_pattern"));
  if (config.Has("target_modules") && config.json().at("target_modules").is_array()) {
    PALATE_ASSIGN_OR_RETURN(result.targets, Names(config, "target_modules"));
  }
  PALATE_ASSIGN_OR_RETURN(result.saved_modules, Names(config, "modules_to_save"));

  return result;
}

// Whether `module` is `name` or ends with it: "q_proj" or "0.self_attn.q_proj".
bool EndsWithName(absl::string_view module, absl::string_view name) {
  return module == name || absl::EndsWith(module, absl::StrCat(".", name));
}

// The value of the first pattern that matches `module`, or `otherwise`.
absl::StatusOr<double> Lookup(const Pattern& pattern, const std::string& module, double otherwise) {
  for (const auto& [expression, value] : pattern) {
    try {
      // "^" anchors a pattern at the start of the full name.
      const bool anchored = absl::StartsWith(expression, "^");
      const std::regex regex(absl::StrCat(anchored ? "" : "(.*\\.)?", "(",
                                          anchored ? expression.substr(1) : expression, ")"));
      if (std::regex_match(module, regex)) return value;
    } catch (const std::regex_error& error) {
      return absl::InvalidArgumentError(
          absl::StrCat("pattern ", QuoteForMessage(expression),
                       " is not a valid regular expression: ", error.what()));
    }
  }
  return otherwise;
}

// The two matrices of an update, as far as they were found.
struct Halves {
  std::optional<TensorEntry> a;
  std::optional<TensorEntry> b;
  bool embedding = false;
};

struct Contents {
  std::map<std::string, Halves> updates;
  std::map<std::string, TensorEntry> replacements;
  std::vector<std::string> problems;
};

Contents Sort(const std::map<std::string, TensorEntry>& tensors) {
  Contents contents;
  for (const auto& [full_name, entry] : tensors) {
    absl::string_view name = full_name;
    const bool floating = entry.type == TensorType::kF32 || entry.type == TensorType::kF16 ||
                          entry.type == TensorType::kBf16;

    if (!absl::ConsumePrefix(&name, kWrapper) || name.size() > kMaxModuleBytes) {
      contents.problems.push_back(
          absl::StrCat(QuoteForMessage(full_name), " does not begin with ", kWrapper));
    } else if (!floating) {
      contents.problems.push_back(
          absl::StrCat(QuoteForMessage(full_name), " is ", TensorTypeName(entry.type)));
    } else if (absl::ConsumeSuffix(&name, ".lora_A.weight")) {
      contents.updates[std::string(name)].a = entry;
    } else if (absl::ConsumeSuffix(&name, ".lora_B.weight")) {
      contents.updates[std::string(name)].b = entry;
    } else if (absl::ConsumeSuffix(&name, ".lora_embedding_A")) {
      Halves& halves = contents.updates[std::string(name)];
      halves.a = entry;
      halves.embedding = true;
    } else if (absl::ConsumeSuffix(&name, ".lora_embedding_B")) {
      contents.updates[std::string(name)].b = entry;
    } else if (!absl::StrContains(name, ".lora_") && absl::ConsumeSuffix(&name, ".weight")) {
      // PEFT stores an adapted embedding a second time, under "base_layer".
      contents.replacements.emplace(std::string(absl::StripSuffix(name, ".base_layer")), entry);
    } else {
      contents.problems.push_back(
          absl::StrCat(QuoteForMessage(full_name), " does not belong to a plain LoRA adapter"));
    }
  }

  return contents;
}

// The problem of an update whose matrices are missing or do not multiply; empty when there is none.
std::string ProblemOf(const Halves& halves, int64_t rank) {
  if (!halves.a.has_value() || !halves.b.has_value()) return "lacks one of A and B";
  const std::vector<int64_t>& a = halves.a->shape;
  const std::vector<int64_t>& b = halves.b->shape;
  if (a.size() == 2 && b.size() == 2 && a[0] == rank && b[1] == rank) return "";
  return absl::StrCat("has A [", absl::StrJoin(a, ", "), "] and B [", absl::StrJoin(b, ", "),
                      "], expected rank ", rank);
}

// Reports modules that the config names but the file lacks, and the reverse.
void CheckModules(const LoraConfig& config, Contents& contents) {
  const auto in = [](const auto& modules, const std::string& name) {
    return std::any_of(modules.begin(), modules.end(),
                       [&](const auto& row) { return EndsWithName(row.first, name); });
  };

  for (const std::string& name : config.saved_modules) {
    if (!in(contents.replacements, name))
      contents.problems.push_back(
          absl::StrCat("modules_to_save has ", QuoteForMessage(name), " without a tensor"));
  }

  if (!config.targets.has_value()) return;
  for (const std::string& name : *config.targets) {
    if (!in(contents.updates, name))
      contents.problems.push_back(
          absl::StrCat("target_modules has ", QuoteForMessage(name), " without tensors"));
  }

  for (const auto& [module, halves] : contents.updates) {
    const bool targeted = std::any_of(
        config.targets->begin(), config.targets->end(),
        [&module = module](const std::string& name) { return EndsWithName(module, name); });
    if (!targeted)
      contents.problems.push_back(
          absl::StrCat(QuoteForMessage(module), " is not in target_modules"));
  }
}

bool IsModelFolder(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path / "config.json", error);
}

}  // namespace

bool IsAdapterFolder(const std::string& folder) {
  return FileExists(InFolder(folder, kConfigFile));
}

absl::StatusOr<std::string> AdapterBaseFolder(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig config, JsonConfig::Load(InFolder(folder, kConfigFile)));
  PALATE_ASSIGN_OR_RETURN(const std::string base, config.String("base_model_name_or_path"));

  std::filesystem::path own = folder;
  if (own.filename().empty()) own = own.parent_path();  // "adapter/"

  for (const std::filesystem::path& candidate :
       {std::filesystem::path(base), own / base, own.parent_path() / base}) {
    if (IsModelFolder(candidate)) return candidate.lexically_normal().string();
  }

  return absl::NotFoundError(absl::StrCat(config.source(), ": base_model_name_or_path ",
                                          QuoteForMessage(base), " is not a local model folder"));
}

absl::StatusOr<Adapter> Adapter::Open(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const LoraConfig config, ReadConfig(InFolder(folder, kConfigFile)));
  PALATE_ASSIGN_OR_RETURN(SafetensorsFile file,
                          SafetensorsFile::Open(InFolder(folder, kWeightsFile)));
  Adapter adapter(folder, std::move(file));

  Contents contents = Sort(adapter.file_.tensors());
  CheckModules(config, contents);

  for (auto& [module, halves] : contents.updates) {
    PALATE_ASSIGN_OR_RETURN(const double rank,
                            Lookup(config.rank_pattern, module, static_cast<double>(config.rank)));
    PALATE_ASSIGN_OR_RETURN(const double alpha, Lookup(config.alpha_pattern, module, config.alpha));
    if (const std::string problem = ProblemOf(halves, static_cast<int64_t>(rank));
        !problem.empty()) {
      contents.problems.push_back(absl::StrCat(QuoteForMessage(module), " ", problem));
      continue;
    }

    const double scaling = alpha / (config.rank_stabilized ? std::sqrt(rank) : rank);
    adapter.updates_.emplace(
        module,
        LoraUpdate{
            .a = *halves.a, .b = *halves.b, .scaling = scaling, .embedding = halves.embedding});
  }

  adapter.replacements_ = std::move(contents.replacements);
  if (adapter.updates_.empty() && contents.problems.empty())
    contents.problems.push_back("it has no LoRA tensors");

  if (contents.problems.empty()) return adapter;
  return absl::InvalidArgumentError(
      absl::StrCat(folder, " cannot be merged: ", absl::StrJoin(contents.problems, "; ")));
}

absl::StatusOr<std::string> Adapter::Digest() const {
  PALATE_ASSIGN_OR_RETURN(const std::string config, FileDigest(InFolder(folder_, kConfigFile)));
  PALATE_ASSIGN_OR_RETURN(const std::string weights, FileDigest(InFolder(folder_, kWeightsFile)));
  return absl::BytesToHexString(Sha256(absl::StrCat(config, " ", weights)));
}

}  // namespace palate::models
