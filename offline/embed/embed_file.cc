#include "offline/embed/embed_file.h"

#include <future>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "domain/catalog.h"
#include "offline/embed/item_lines.h"
#include "offline/embed/vector_file.h"

namespace palate::offline {
namespace {

// Limits of one call of the embedder: large enough for batches of equal lengths, small enough for a
// smooth progress display.
constexpr size_t kCallLines = 128;
constexpr size_t kCallImages = 32;

struct Portion {
  std::vector<EmbedLine> lines;
  int64_t lines_read = 0;  // of the whole file so far
};

Portion ReadPortion(EmbedLineReader& reader) {
  Portion portion;
  size_t images = 0;

  while (portion.lines.size() < kCallLines && images < kCallImages) {
    std::optional<EmbedLine> line = reader.Next();
    if (!line.has_value()) break;
    images += line->input.images.size();
    portion.lines.push_back(*std::move(line));
  }
  portion.lines_read = reader.number();
  return portion;
}

absl::StatusOr<std::vector<SpaceKey>> ChooseSpaces(const embedding::ModelInfo& info,
                                                   const EmbedFileOptions& options,
                                                   int dimensions) {
  std::vector<std::string> names = options.spaces;
  if (names.empty()) {
    const embedding::SpaceInfo* fused = info.FindSpace(kFusedSpace);
    names.push_back(fused != nullptr && fused->available ? kFusedSpace : kTextSpace);
  }

  std::vector<SpaceKey> spaces;
  for (const std::string& name : names) {
    const embedding::SpaceInfo* space = info.FindSpace(name);
    if (space == nullptr || !space->available) {
      return absl::InvalidArgumentError(
          absl::StrCat("embedding model ", info.name, " has no space \"", name, "\""));
    }
    for (const SpaceKey& earlier : spaces) {
      if (earlier.name == name)
        return absl::InvalidArgumentError(absl::StrCat("the space \"", name, "\" is named twice"));
    }
    spaces.push_back({name, embedding::FingerprintFor(*space, dimensions, info.dimensions)});
  }
  return spaces;
}

// Embeds a portion and moves its inputs out.
absl::Status EmbedPortion(embedding::Embedder& embedder, const EmbedFileOptions& options,
                          Portion& portion, VectorFile& file, EmbedFileReport& report) {
  embedding::EmbedOptions call;
  for (const SpaceKey& space : report.spaces) call.spaces.push_back(space.name);
  call.instruction = options.instruction;
  call.dimensions = options.dimensions;
  call.lane = embedding::Lane::kBulk;

  std::vector<embedding::EmbedInput> inputs;
  for (EmbedLine& line : portion.lines) {
    line.input.role = options.queries ? embedding::EmbedRole::kQuery : embedding::EmbedRole::kItem;
    inputs.push_back(std::move(line.input));
  }

  PALATE_ASSIGN_OR_RETURN(const std::vector<embedding::EmbedResult> results,
                          embedder.Embed(std::move(inputs), call));

  for (size_t i = 0; i < results.size(); ++i) {
    const EmbedLine& line = portion.lines[i];
    const absl::Status added =
        results[i].status.ok() ? file.Add(line.id, results[i].vectors) : results[i].status;
    if (absl::IsUnavailable(added)) return added;
    if (added.ok()) {
      ++report.embedded;
      report.truncated += results[i].truncated_tokens > 0;
      report.tokens += results[i].tokens;
      for (const PartFailure& failure : results[i].failed_parts)
        report.source.AddMalformed(options.input, line.line, Describe(failure));
    } else {
      ++report.failed;
      report.source.AddMalformed(options.input, line.line, std::string(added.message()));
    }
  }
  return absl::OkStatus();
}

std::map<std::string, std::string> Metadata(const embedding::ModelInfo& info,
                                            const EmbedFileOptions& options) {
  std::map<std::string, std::string> metadata = {
      {"format", "palate-vectors-1"}, {"model", info.name},
      {"family", info.family},        {"weights_sha256", info.weights_digest},
      {"dtype", info.dtype},          {"role", options.queries ? "query" : "item"}};
  if (options.queries && !options.instruction.empty())
    metadata["instruction"] = options.instruction;
  return metadata;
}

}  // namespace

absl::StatusOr<EmbedFileReport> EmbedFile(
    embedding::Embedder& embedder, const EmbedFileOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_progress) {
  const absl::Time begun = absl::Now();
  const embedding::ModelInfo& info = embedder.info();

  EmbedFileReport report;
  if (options.dimensions < 0 || options.dimensions > info.dimensions) {
    return absl::InvalidArgumentError(
        absl::StrCat("dimensions is ", options.dimensions, ", the model has ", info.dimensions));
  }

  report.dimensions = options.dimensions > 0 ? options.dimensions : info.dimensions;
  PALATE_ASSIGN_OR_RETURN(report.spaces, ChooseSpaces(info, options, report.dimensions));

  // The reader reads ahead on another thread, so it needs a separate report.
  SourceReport read;
  PALATE_ASSIGN_OR_RETURN(EmbedLineReader reader,
                          EmbedLineReader::Open(options.input, options.images_folder, read));
  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorFile> file,
                          VectorFile::Create(options.output, report.spaces, report.dimensions));

  Portion portion = ReadPortion(reader);
  while (!portion.lines.empty()) {
    std::future<Portion> next =
        std::async(std::launch::async, [&reader] { return ReadPortion(reader); });
    const absl::Status embedded = EmbedPortion(embedder, options, portion, *file, report);
    const int64_t done = portion.lines_read;
    portion = next.get();
    PALATE_RETURN_IF_ERROR(embedded);
    on_progress(done, reader.count());
  }

  PALATE_RETURN_IF_ERROR(file->Finish(Metadata(info, options)));

  for (const Malformed& failed : report.source.malformed)
    read.AddMalformed(failed.file, failed.line, failed.reason, failed.column);
  read.malformed_count +=
      report.source.malformed_count - static_cast<int64_t>(report.source.malformed.size());
  report.source = std::move(read);
  report.spent = absl::Now() - begun;

  return report;
}

}  // namespace palate::offline
