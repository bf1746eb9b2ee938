#include "offline/training/item_text.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <string>
#include <utility>

#include "base/status.h"
#include "featurestore/embedding_worker.h"
#include "featurestore/types.h"
#include "offline/training/vision_task.h"

namespace palate::training {

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
