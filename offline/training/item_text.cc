#include "offline/training/item_text.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/status.h"
#include "featurestore/embedding_worker.h"
#include "featurestore/types.h"

namespace palate::training {
namespace {

constexpr size_t kChunk = 64;  // texts that go through the text tower together

at::Tensor Normalized(const at::Tensor& rows) {
  return rows / rows.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
}

// float32 [texts, dimensions], rows of unit length.
absl::StatusOr<at::Tensor> EncodeTexts(const models::SentenceEncoder& encoder,
                                       const std::vector<std::string>& texts) {
  std::vector<at::Tensor> rows;
  for (size_t begin = 0; begin < texts.size(); begin += kChunk) {
    std::vector<std::vector<int64_t>> sequences;
    for (size_t i = begin; i < std::min(texts.size(), begin + kChunk); ++i) {
      PALATE_ASSIGN_OR_RETURN(models::EncodedText encoded, encoder.Tokenize(texts[i]));
      sequences.push_back(std::move(encoded.ids));
    }

    PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, encoder.Encode(sequences));
    // Autograd needs a copy, because it does not accept tensors that were computed for inference.
    // Not every text tower normalizes its vectors.
    rows.push_back(Normalized(vectors.clone()));
  }
  return at::cat(rows).contiguous();
}

}  // namespace

absl::StatusOr<at::Tensor> EncodeItems(const models::SentenceEncoder& encoder,
                                       const std::vector<Item>& items) {
  const at::NoGradGuard no_grad;
  std::vector<std::string> texts;
  std::vector<int64_t> fields;  // of each item

  for (const Item& item : items) {
    featurestore::StoredItem stored;
    stored.item = item;
    featurestore::EmbedItem embed = featurestore::ToEmbedItem(stored);
    fields.push_back(static_cast<int64_t>(embed.text_fields.size()));
    for (std::string& field : embed.text_fields) texts.push_back(std::move(field));
  }

  PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, EncodeTexts(encoder, texts));
  std::vector<at::Tensor> rows;
  int64_t begin = 0;

  for (const int64_t count : fields) {
    const at::Tensor mean = vectors.narrow(0, begin, count).mean(0);
    rows.push_back(mean / mean.norm().clamp_min(1e-12));
    begin += count;
  }
  return at::stack(rows);
}

}  // namespace palate::training
