#include "models/checkpoint/parameters.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// Limits the tensor names in one message, because a hostile file may have more than any model.
constexpr size_t kMaxNamed = 10'000;
// Tensors are converted in pieces of about this size, so that little of the mapping is in memory
// beside the result.
constexpr int64_t kPieceBytes = 4 << 20;

struct TypePair {
  TensorType file;
  at::ScalarType torch;
};
constexpr std::array<TypePair, 10> kTypePairs = {{{TensorType::kF32, at::kFloat},
                                                  {TensorType::kF16, at::kHalf},
                                                  {TensorType::kBf16, at::kBFloat16},
                                                  {TensorType::kF64, at::kDouble},
                                                  {TensorType::kI64, at::kLong},
                                                  {TensorType::kI32, at::kInt},
                                                  {TensorType::kI16, at::kShort},
                                                  {TensorType::kI8, at::kChar},
                                                  {TensorType::kU8, at::kByte},
                                                  {TensorType::kBool, at::kBool}}};

at::ScalarType TorchType(TensorType type) {
  return std::find_if(kTypePairs.begin(), kTypePairs.end(),
                      [&](const TypePair& pair) { return pair.file == type; })
      ->torch;
}

absl::StatusOr<TensorType> FileType(at::ScalarType type) {
  const auto it = std::find_if(kTypePairs.begin(), kTypePairs.end(),
                               [&](const TypePair& pair) { return pair.torch == type; });
  if (it == kTypePairs.end())
    return absl::InvalidArgumentError(
        absl::StrCat("safetensors has no type for ", c10::toString(type)));
  return it->file;
}

// A tensor over the mapping, or a copy when the data is not aligned to its elements.
at::Tensor TensorOver(const TensorEntry& entry, std::shared_ptr<const MappedFile> file) {
  const at::TensorOptions options = at::TensorOptions().dtype(TorchType(entry.type));

  // from_blob takes a mutable pointer; the mapping is read-only, and nothing here writes through
  // it.
  void* data = const_cast<char*>(entry.data.data());
  if (entry.data.empty()) return at::empty(entry.shape, options);

  const bool aligned = reinterpret_cast<uintptr_t>(data) % TensorTypeSize(entry.type) == 0;
  if (!aligned) {
    at::Tensor copy = at::empty(entry.shape, options);
    std::copy(entry.data.begin(), entry.data.end(), static_cast<char*>(copy.data_ptr()));
    return copy;
  }

  return at::from_blob(
      data, entry.shape, [file = std::move(file)](void*) {}, options);
}

bool IsFloating(TensorType type) {
  return type == TensorType::kF32 || type == TensorType::kF16 || type == TensorType::kBf16 ||
         type == TensorType::kF64;
}

// The name in the folder of a listed tensor, under one of the prefixes.
std::string StoredName(const std::string& listed, const std::string& prefix,
                       const LoadOptions& options) {
  if (options.replaced_prefix.empty()) return absl::StrCat(prefix, listed);
  if (!absl::StartsWith(listed, options.replaced_prefix)) return listed;
  return absl::StrCat(prefix, listed.substr(options.replaced_prefix.size()));
}

// The name under which the folder stores the tensor `name`. Models converted from TensorFlow call
// the weight and bias of a layer normalization gamma and beta, among them bert-base-uncased.
std::string SpelledAsStored(const Checkpoint& checkpoint, const std::string& name) {
  constexpr std::array<std::pair<absl::string_view, absl::string_view>, 2> kEarly = {
      {{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}}};

  if (checkpoint.tensors().count(name) > 0) return name;
  for (const auto& [now, early] : kEarly) {
    if (!absl::EndsWith(name, now)) continue;
    std::string other = absl::StrCat(absl::StripSuffix(name, now), early);
    if (checkpoint.tensors().count(other) > 0) return other;
  }
  return name;
}

bool IsIgnored(const std::string& name, const LoadOptions& options) {
  return std::any_of(options.ignored_prefixes.begin(), options.ignored_prefixes.end(),
                     [&](const std::string& start) { return absl::StartsWith(name, start); }) ||
         std::any_of(options.ignored_suffixes.begin(), options.ignored_suffixes.end(),
                     [&](const std::string& end) { return absl::EndsWith(name, end); });
}

// The prefix under which most of the listed names exist.
std::string ChoosePrefix(const Checkpoint& checkpoint, const ParameterList& parameters,
                         const LoadOptions& options) {
  std::string best = options.prefixes.empty() ? "" : options.prefixes[0];
  size_t best_found = 0;
  for (const std::string& prefix : options.prefixes) {
    size_t found = 0;
    for (const Parameter& parameter : parameters) {
      const std::string name = StoredName(parameter.name, prefix, options);
      found += checkpoint.tensors().count(SpelledAsStored(checkpoint, name));
    }
    if (found > best_found) {
      best = prefix;
      best_found = found;
    }
  }
  return best;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

std::string ListNames(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kMaxNamed);
  std::string text =
      absl::StrJoin(names.begin(), names.begin() + static_cast<ptrdiff_t>(shown), ", ");
  if (names.size() > shown) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

// Differences between a checkpoint and a parameter list.
struct Mismatches {
  std::vector<std::string> missing;
  std::vector<std::string> wrong;
  std::vector<std::string> left_over;

  absl::Status ToStatus(const std::string& folder) const {
    std::vector<std::string> problems;
    if (!missing.empty()) problems.push_back(absl::StrCat("missing tensors: ", ListNames(missing)));
    if (!wrong.empty())
      problems.push_back(absl::StrCat("tensors that do not fit the config: ", ListNames(wrong)));
    if (!left_over.empty())
      problems.push_back(
          absl::StrCat("tensors that the model does not have: ", ListNames(left_over)));

    if (problems.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(folder, ": ", absl::StrJoin(problems, "; ")));
  }
};

// The source of one parameter's value.
struct Source {
  const TensorEntry* entry = nullptr;
  std::shared_ptr<const MappedFile> file;  // holds the entry's data
  const LoraUpdate* update = nullptr;      // null when no update applies
};

// Finds the sources of all parameters and records mismatches.
class SourceFinder {
 public:
  SourceFinder(const Checkpoint& checkpoint, const ParameterList& parameters,
               const LoadOptions& options)
      : checkpoint_(checkpoint),
        parameters_(parameters),
        options_(options),
        prefix_(ChoosePrefix(checkpoint, parameters, options)) {}

  absl::StatusOr<std::vector<Source>> Find() {
    std::vector<Source> sources;
    for (const Parameter& parameter : parameters_) {
      Source source = FindStored(parameter);
      if (options_.adapter != nullptr) Adapt(parameter, source);
      sources.push_back(std::move(source));
    }

    for (const auto& [name, entry] : checkpoint_.tensors()) {
      if (!IsIgnored(name, options_) && stored_.count(name) == 0)
        mismatches_.left_over.push_back(QuoteForMessage(name));
    }

    PALATE_RETURN_IF_ERROR(mismatches_.ToStatus(checkpoint_.folder()));
    if (options_.adapter != nullptr) PALATE_RETURN_IF_ERROR(CheckAdapter());
    return sources;
  }

 private:
  Source FindStored(const Parameter& parameter) {
    const std::string name =
        SpelledAsStored(checkpoint_, StoredName(parameter.name, prefix_, options_));
    stored_.insert(name);

    const auto it = checkpoint_.tensors().find(name);
    if (it == checkpoint_.tensors().end()) {
      mismatches_.missing.push_back(name);
      return {};
    }

    if (!IsFloating(it->second.type)) {
      mismatches_.wrong.push_back(
          absl::StrCat(name, " is ", TensorTypeName(it->second.type), ", not floating"));
    } else if (it->second.shape != parameter.shape) {
      mismatches_.wrong.push_back(absl::StrCat(name, " is ", ShapeText(it->second.shape),
                                               ", expected ", ShapeText(parameter.shape)));
    }
    return {.entry = &it->second, .file = checkpoint_.FileOf(name)};
  }

  // The adapter's modules may have a different one of the prefixes than the folder.
  void Adapt(const Parameter& parameter, Source& source) {
    for (const std::string& prefix : options_.prefixes) {
      const std::string name = StoredName(parameter.name, prefix, options_);
      if (!absl::EndsWith(name, ".weight")) return;
      const std::string module(absl::StripSuffix(name, ".weight"));

      if (const auto it = options_.adapter->replacements().find(module);
          it != options_.adapter->replacements().end()) {
        adapted_.insert(module);
        if (it->second.shape != parameter.shape)
          misfits_.push_back(absl::StrCat(module, " is ", ShapeText(it->second.shape)));
        source.entry = &it->second;
        source.file = options_.adapter->file().file();
      }

      if (const auto it = options_.adapter->updates().find(module);
          it != options_.adapter->updates().end()) {
        adapted_.insert(module);
        const LoraUpdate& update = it->second;
        std::vector<int64_t> shape = {update.b.shape[0], update.a.shape[1]};
        if (update.embedding) std::swap(shape[0], shape[1]);
        if (shape != parameter.shape)
          misfits_.push_back(absl::StrCat(module, " updates ", ShapeText(shape)));
        source.update = &update;
      }
    }
  }

  absl::Status CheckAdapter() {
    const auto check = [&](const auto& modules) {
      for (const auto& [module, value] : modules) {
        if (adapted_.count(module) == 0 && !IsIgnored(module, options_)) {
          misfits_.push_back(absl::StrCat(QuoteForMessage(module), " is not in the model"));
        }
      }
    };

    check(options_.adapter->updates());
    check(options_.adapter->replacements());

    if (misfits_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(options_.adapter->folder(), " does not fit ",
                                                   checkpoint_.folder(), ": ",
                                                   ListNames(misfits_)));
  }

  const Checkpoint& checkpoint_;
  const ParameterList& parameters_;
  const LoadOptions& options_;
  const std::string prefix_;
  std::set<std::string> stored_;   // names in the folder that belong to a parameter
  std::set<std::string> adapted_;  // modules of the adapter that belong to a parameter
  Mismatches mismatches_;
  std::vector<std::string> misfits_;
};

// Rows [begin, begin + count) of W + scaling * B A, in float32.
at::Tensor Merged(const at::Tensor& weight, const LoraUpdate& update,
                  const std::shared_ptr<const MappedFile>& file, int64_t begin, int64_t count) {
  at::Tensor left = TensorOver(update.b, file).to(at::kFloat);
  at::Tensor right = TensorOver(update.a, file).to(at::kFloat);
  if (update.embedding) std::tie(left, right) = std::pair(right.t(), left.t());

  return at::addmm(weight.narrow(0, begin, count).to(at::kFloat), left.narrow(0, begin, count),
                   right, /*beta=*/1,
                   /*alpha=*/update.scaling);
}

at::Tensor LoadOne(const Source& source, const LoadOptions& options) {
  const at::Tensor stored = TensorOver(*source.entry, source.file);
  const bool own_memory = options.trainable || source.update != nullptr || !options.device.is_cpu();
  if (!own_memory && stored.scalar_type() == options.dtype) return stored;

  at::Tensor result =
      at::empty(stored.sizes(), at::TensorOptions().dtype(options.dtype).device(options.device));

  const int64_t rows = stored.dim() == 0 ? 1 : stored.size(0);
  const at::Tensor from = stored.dim() == 0 ? stored.unsqueeze(0) : stored;
  const at::Tensor to = result.dim() == 0 ? result.unsqueeze(0) : result;
  const int64_t row_bytes =
      std::max<int64_t>(1, static_cast<int64_t>(stored.nbytes()) / std::max<int64_t>(1, rows));
  const int64_t step = std::max<int64_t>(1, kPieceBytes / row_bytes);

  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t count = std::min(step, rows - begin);
    const at::Tensor piece =
        source.update == nullptr
            ? from.narrow(0, begin, count)
            : Merged(from, *source.update, options.adapter->file().file(), begin, count);

    to.narrow(0, begin, count).copy_(piece);
    source.file->Release(source.entry->data.substr(static_cast<size_t>(begin * row_bytes),
                                                   static_cast<size_t>(count * row_bytes)));
  }

  return options.trainable ? result.set_requires_grad(true) : result;
}

absl::StatusOr<TensorEntry> EntryOf(const std::string& name, const at::Tensor& contiguous) {
  absl::StatusOr<TensorType> type = FileType(contiguous.scalar_type());
  if (!type.ok()) return Annotate(type.status(), "tensor ", name);

  TensorEntry entry{.type = *type, .shape = contiguous.sizes().vec()};
  entry.data =
      absl::string_view(static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes());
  return entry;
}

}  // namespace

void AddNorm(ParameterList& list, const std::string& prefix, int64_t width, at::Tensor& weight,
             at::Tensor& bias) {
  list.push_back({prefix + "weight", {width}, Init::Ones(), &weight});
  list.push_back({prefix + "bias", {width}, Init::Zeros(), &bias});
}

void AddLinear(ParameterList& list, const std::string& prefix, int64_t out, int64_t in,
               at::Tensor& weight, at::Tensor& bias, const Init& init) {
  list.push_back({prefix + "weight", {out, in}, init, &weight});
  list.push_back({prefix + "bias", {out}, Init::Zeros(), &bias});
}

absl::Status LoadParameters(const Checkpoint& checkpoint, const ParameterList& parameters,
                            const LoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const std::vector<Source> sources,
                          SourceFinder(checkpoint, parameters, options).Find());
  return CatchTorch([&] {
    for (size_t i = 0; i < parameters.size(); ++i)
      *parameters[i].tensor = LoadOne(sources[i], options);
  });
}

absl::Status InitializeParameters(const ParameterList& parameters, uint64_t seed, bool trainable) {
  return CatchTorch([&] {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    for (const Parameter& parameter : parameters) {
      at::Tensor tensor = at::empty(parameter.shape, at::kFloat);
      switch (parameter.init.kind) {
        case Init::Kind::kNormal:
          tensor.normal_(0.0, parameter.init.value, generator);
          break;
        case Init::Kind::kOnes:
        case Init::Kind::kZeros:
        case Init::Kind::kConstant:
          tensor.fill_(parameter.init.value);
          break;
      }

      *parameter.tensor = tensor.set_requires_grad(trainable);
    }
  });
}

absl::Status SaveParameters(const ParameterList& parameters, const std::string& path) {
  std::map<std::string, at::Tensor> tensors;
  for (const Parameter& parameter : parameters) tensors.emplace(parameter.name, *parameter.tensor);
  return SaveTensors(tensors, path);
}

absl::Status SaveTensors(const std::map<std::string, at::Tensor>& tensors,
                         const std::string& path) {
  return CatchTorch([&]() -> absl::Status {
    std::vector<at::Tensor> kept;  // the entries point into these
    std::map<std::string, TensorEntry> entries;
    for (const auto& [name, tensor] : tensors) {
      kept.push_back(tensor.detach().cpu().contiguous());
      PALATE_ASSIGN_OR_RETURN(entries[name], EntryOf(name, kept.back()));
    }
    return WriteSafetensors(path, entries);
  });
}

absl::StatusOr<std::map<std::string, at::Tensor>> LoadTensors(const std::string& path) {
  PALATE_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(path));
  return CatchTorch([&] {
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, entry] : file.tensors())
      tensors.emplace(name, TensorOver(entry, file.file()).clone());
    return tensors;
  });
}

}  // namespace palate::models
