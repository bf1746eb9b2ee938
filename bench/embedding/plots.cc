#include "bench/embedding/plots.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "models/checkpoint/parameters.h"

namespace palate::bench {
namespace {

// id::title::year::rated::released::genres::director::writers::actors::plot::poster
constexpr size_t kPlotField = 9;

absl::StatusOr<std::vector<std::string>> ReadPlots(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, " does not exist"));
  std::vector<std::string> plots;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, "::");
    if (fields.size() > kPlotField && fields[kPlotField].size() > 3)
      plots.push_back(fields[kPlotField]);
  }
  return plots;
}

}  // namespace

absl::StatusOr<TextBatches> LoadPlots(const std::string& shared,
                                      const models::SentenceEncoder& encoder, size_t count,
                                      size_t batch_size) {
  PALATE_ASSIGN_OR_RETURN(const std::vector<std::string> plots,
                          ReadPlots(shared + "/data/movielens/plots.dat"));
  count = std::min(count, plots.size());

  TextBatches result;
  std::vector<std::vector<int64_t>> sequences;
  for (size_t i = 0; i < count; ++i) {
    PALATE_ASSIGN_OR_RETURN(models::EncodedText text,
                            encoder.Tokenize(plots[i * plots.size() / count]));
    result.tokens += static_cast<int64_t>(text.ids.size());
    sequences.push_back(std::move(text.ids));
  }

  std::stable_sort(sequences.begin(), sequences.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });

  for (size_t i = 0; i < sequences.size(); ++i) {
    if (i % batch_size == 0) result.batches.emplace_back();
    result.batches.back().push_back(std::move(sequences[i]));
  }

  result.texts = static_cast<int64_t>(count);
  return result;
}

absl::Status WriteBatches(const TextBatches& batches, const std::string& path) {
  std::vector<int64_t> ids, lengths, sizes;
  for (const auto& batch : batches.batches) {
    sizes.push_back(static_cast<int64_t>(batch.size()));
    for (const std::vector<int64_t>& text : batch) {
      lengths.push_back(static_cast<int64_t>(text.size()));
      ids.insert(ids.end(), text.begin(), text.end());
    }
  }
  return models::SaveTensors({{"ids", at::tensor(ids, at::kLong)},
                              {"lengths", at::tensor(lengths, at::kLong)},
                              {"batches", at::tensor(sizes, at::kLong)}},
                             path);
}

}  // namespace palate::bench
