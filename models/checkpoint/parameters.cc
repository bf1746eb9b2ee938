#include "models/checkpoint/parameters.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// A message names at most this many tensors of each kind.
constexpr size_t kMaxNamed = 8;

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
  return std::find_if(kTypePairs.begin(), kTypePairs.end(), [&](const TypePair& pair) { return pair.file == type; })->torch;
}

absl::StatusOr<TensorType> FileType(at::ScalarType type) {
  const auto it = std::find_if(kTypePairs.begin(), kTypePairs.end(), [&](const TypePair& pair) { return pair.torch == type; });
  if (it == kTypePairs.end()) return absl::InvalidArgumentError(absl::StrCat("safetensors has no type for ", c10::toString(type)));
  return it->file;
}

// A tensor over the mapping, or over a copy where the file's data is not aligned to its elements.
at::Tensor TensorOver(const TensorEntry& entry, std::shared_ptr<const MappedFile> file) {
  const at::TensorOptions options = at::TensorOptions().dtype(TorchType(entry.type));
  // from_blob wants a mutable pointer; the mapping is read-only, and nothing here writes through it.
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
  return type == TensorType::kF32 || type == TensorType::kF16 || type == TensorType::kBf16 || type == TensorType::kF64;
}

// The prefix under which most listed names exist.
std::string ChoosePrefix(const Checkpoint& checkpoint, const ParameterList& parameters, const std::vector<std::string>& prefixes) {
  std::string best;
  size_t best_found = 0;
  for (const std::string& prefix : prefixes) {
    size_t found = 0;
    for (const Parameter& parameter : parameters) found += checkpoint.tensors().count(absl::StrCat(prefix, parameter.name));
    if (found > best_found) {
      best = prefix;
      best_found = found;
    }
  }
  return best;
}

std::string ShapeText(const std::vector<int64_t>& shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

std::string ListNames(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kMaxNamed);
  std::string text = absl::StrJoin(names.begin(), names.begin() + static_cast<ptrdiff_t>(shown), ", ");
  if (names.size() > shown) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

// What does not fit between a checkpoint and a list.
struct Mismatches {
  std::vector<std::string> missing;
  std::vector<std::string> wrong;
  std::vector<std::string> left_over;

  absl::Status ToStatus(const std::string& folder) const {
    std::vector<std::string> problems;
    if (!missing.empty()) problems.push_back(absl::StrCat("missing tensors: ", ListNames(missing)));
    if (!wrong.empty()) problems.push_back(absl::StrCat("tensors that do not fit the config: ", ListNames(wrong)));
    if (!left_over.empty()) problems.push_back(absl::StrCat("tensors that the model does not have: ", ListNames(left_over)));
    if (problems.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(folder, ": ", absl::StrJoin(problems, "; ")));
  }
};

Mismatches Compare(const Checkpoint& checkpoint, const ParameterList& parameters, const std::string& prefix, const LoadOptions& options) {
  Mismatches result;
  std::set<std::string> listed;
  for (const Parameter& parameter : parameters) {
    const std::string name = absl::StrCat(prefix, parameter.name);
    listed.insert(name);
    const auto it = checkpoint.tensors().find(name);
    if (it == checkpoint.tensors().end()) {
      result.missing.push_back(name);
    } else if (!IsFloating(it->second.type)) {
      result.wrong.push_back(absl::StrCat(name, " is ", TensorTypeName(it->second.type), ", not floating"));
    } else if (it->second.shape != parameter.shape) {
      result.wrong.push_back(absl::StrCat(name, " is ", ShapeText(it->second.shape), ", expected ", ShapeText(parameter.shape)));
    }
  }
  for (const auto& [name, entry] : checkpoint.tensors()) {
    const bool ignored = std::any_of(options.ignored_prefixes.begin(), options.ignored_prefixes.end(),
                                     [&name = name](const std::string& start) { return absl::StartsWith(name, start); });
    if (!ignored && listed.count(name) == 0) result.left_over.push_back(QuoteForMessage(name));
  }
  return result;
}

absl::StatusOr<TensorEntry> EntryOf(const std::string& name, const at::Tensor& contiguous) {
  absl::StatusOr<TensorType> type = FileType(contiguous.scalar_type());
  if (!type.ok()) return Annotate(type.status(), "tensor ", name);
  TensorEntry entry{.type = *type, .shape = contiguous.sizes().vec()};
  entry.data = absl::string_view(static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes());
  return entry;
}

}  // namespace

absl::Status LoadParameters(const Checkpoint& checkpoint, const ParameterList& parameters, const LoadOptions& options) {
  const std::string prefix = ChoosePrefix(checkpoint, parameters, options.prefixes);
  PALATE_RETURN_IF_ERROR(Compare(checkpoint, parameters, prefix, options).ToStatus(checkpoint.folder()));
  return CatchTorch([&] {
    for (const Parameter& parameter : parameters) {
      const std::string name = absl::StrCat(prefix, parameter.name);
      at::Tensor tensor = TensorOver(checkpoint.tensors().at(name), checkpoint.FileOf(name));
      tensor = tensor.to(at::kFloat);
      if (options.trainable) tensor = tensor.clone().set_requires_grad(true);
      *parameter.tensor = std::move(tensor);
    }
  });
}

absl::Status InitialiseParameters(const ParameterList& parameters, uint64_t seed, bool trainable) {
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

absl::Status SaveTensors(const std::map<std::string, at::Tensor>& tensors, const std::string& path) {
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
    for (const auto& [name, entry] : file.tensors()) tensors.emplace(name, TensorOver(entry, file.file()).clone());
    return tensors;
  });
}

}  // namespace palate::models
