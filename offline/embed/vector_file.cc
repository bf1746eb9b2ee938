#include "offline/embed/vector_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/safetensors.h"
#include "nlohmann/json.hpp"

namespace palate::offline {
namespace {

// Readers refuse headers above 100 MB; the tensors and the other metadata need little of that.
constexpr size_t kMaxIdsBytes = size_t{96} << 20;

absl::Status WriteError(const std::string& path) {
  return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
}

models::TensorEntry Entry(models::TensorType type, std::vector<int64_t> shape,
                          absl::string_view data) {
  return {.type = type, .shape = std::move(shape), .data = data};
}

absl::string_view BytesOf(const std::vector<int64_t>& rows) {
  return absl::string_view(reinterpret_cast<const char*>(rows.data()),
                           rows.size() * sizeof(int64_t));
}

std::string SpacesJson(const std::vector<SpaceKey>& spaces) {
  nlohmann::json json = nlohmann::json::array();
  for (const SpaceKey& space : spaces)
    json.push_back({{"name", space.name}, {"fingerprint", space.fingerprint}});
  return json.dump();
}

}  // namespace

absl::StatusOr<std::unique_ptr<VectorFile>> VectorFile::Create(const std::string& path,
                                                               std::vector<SpaceKey> spaces,
                                                               int dimensions) {
  std::unique_ptr<VectorFile> file(new VectorFile(path, dimensions));
  for (SpaceKey& space : spaces) {
    std::string name = absl::StrCat(path, ".", space.name, "-XXXXXX");
    const int descriptor = mkstemp(name.data());
    if (descriptor < 0) return WriteError(name);

    Spool& spool = file->spools_.emplace_back();
    spool.space = std::move(space);
    spool.path = std::move(name);
    spool.file = fdopen(descriptor, "wb");
    if (spool.file == nullptr) {
      close(descriptor);
      return WriteError(spool.path);
    }
  }
  return file;
}

VectorFile::~VectorFile() {
  for (const Spool& spool : spools_) {
    if (spool.file != nullptr) std::fclose(spool.file);
    std::remove(spool.path.c_str());
  }
}

absl::Status VectorFile::Append(Spool& spool, const std::vector<float>& values) {
  if (std::fwrite(values.data(), sizeof(float), values.size(), spool.file) != values.size())
    return WriteError(spool.path);
  spool.rows.push_back(rows());
  return absl::OkStatus();
}

absl::Status VectorFile::Add(const std::string& id, const std::vector<SpaceVector>& vectors) {
  const auto vector_in = [&](const SpaceKey& space) {
    return std::find_if(vectors.begin(), vectors.end(),
                        [&](const SpaceVector& vector) { return vector.space.name == space.name; });
  };

  if (vector_in(spools_.front().space) == vectors.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("has no content for the space ", spools_.front().space.name));
  }

  for (Spool& spool : spools_) {
    const auto vector = vector_in(spool.space);
    if (vector != vectors.end()) PALATE_RETURN_IF_ERROR(Append(spool, vector->values));
  }

  ids_.push_back(id);
  return absl::OkStatus();
}

absl::Status VectorFile::Finish(std::map<std::string, std::string> metadata) {
  metadata["ids"] = nlohmann::json(ids_).dump();
  if (metadata["ids"].size() > kMaxIdsBytes) {
    return absl::ResourceExhaustedError(absl::StrCat("the ids take ", metadata["ids"].size(),
                                                     " bytes, the limit for one file is ",
                                                     kMaxIdsBytes, ": split the input"));
  }

  std::map<std::string, models::TensorEntry> tensors;
  std::vector<std::shared_ptr<const models::MappedFile>> mappings;
  std::vector<SpaceKey> spaces;
  for (Spool& spool : spools_) {
    if (std::fclose(std::exchange(spool.file, nullptr)) != 0) return WriteError(spool.path);
    absl::string_view data;
    if (!spool.rows.empty()) {
      PALATE_ASSIGN_OR_RETURN(mappings.emplace_back(), models::MappedFile::Open(spool.path));
      data = mappings.back()->bytes();
    }

    const std::vector<int64_t> shape = {static_cast<int64_t>(spool.rows.size()), dimensions_};
    const models::TensorEntry vectors = Entry(models::TensorType::kF32, shape, data);
    if (&spool == &spools_.front()) tensors["vectors"] = vectors;
    if (spools_.size() > 1) {
      tensors["vectors." + spool.space.name] = vectors;
      tensors["rows." + spool.space.name] =
          Entry(models::TensorType::kI64, {shape[0]}, BytesOf(spool.rows));
    }

    spaces.push_back(spool.space);
  }

  metadata["spaces"] = SpacesJson(spaces);
  return models::WriteSafetensors(path_, tensors, metadata);
}

}  // namespace palate::offline
