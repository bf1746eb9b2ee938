#include "offline/training/shop_vectors.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/catalog.h"
#include "featurestore/embedding_worker.h"
#include "featurestore/types.h"
#include "offline/demo/picture.h"

namespace palate::training {
namespace {

constexpr size_t kChunk = 64;  // inputs of one call

using Vectors = std::vector<std::vector<float>>;

// One list of vectors for each space, in the order of the inputs.
absl::StatusOr<std::vector<Vectors>> Embed(embedding::Embedder& embedder,
                                           std::vector<embedding::EmbedInput> inputs,
                                           const std::vector<std::string>& spaces) {
  embedding::EmbedOptions options;
  options.spaces = spaces;
  options.lane = embedding::Lane::kBulk;
  std::vector<Vectors> vectors(spaces.size());

  for (size_t begin = 0; begin < inputs.size(); begin += kChunk) {
    const auto first = inputs.begin() + static_cast<int64_t>(begin);
    const auto last = first + static_cast<int64_t>(std::min(kChunk, inputs.size() - begin));
    PALATE_ASSIGN_OR_RETURN(
        std::vector<embedding::EmbedResult> results,
        embedder.Embed({std::make_move_iterator(first), std::make_move_iterator(last)}, options));

    for (embedding::EmbedResult& result : results) {
      PALATE_RETURN_IF_ERROR(result.status);
      if (result.vectors.size() != spaces.size())
        return absl::FailedPreconditionError(
            absl::StrCat(embedder.info().name, " lacks a space that is measured"));
      for (size_t i = 0; i < spaces.size(); ++i)
        vectors[i].push_back(std::move(result.vectors[i].values));
    }
  }
  return vectors;
}

}  // namespace

absl::StatusOr<ShopVectors> EmbedShop(const demo::Shop& shop, embedding::Embedder& embedder) {
  std::vector<embedding::EmbedInput> inputs;
  for (const demo::Product& product : shop.products) {
    PALATE_ASSIGN_OR_RETURN(demo::Picture picture,
                            demo::DrawPicture(product, {.format = demo::PictureFormat::kPng}));
    featurestore::StoredItem stored;
    stored.item = product.item;
    inputs.push_back({.fields = featurestore::ToEmbedItem(stored).text_fields,
                      .images = {std::move(picture.bytes)}});
  }

  PALATE_ASSIGN_OR_RETURN(std::vector<Vectors> vectors,
                          Embed(embedder, std::move(inputs), {kTextSpace, kImageSpace}));
  return ShopVectors{.text = std::move(vectors[0]), .image = std::move(vectors[1])};
}

absl::StatusOr<Vectors> EmbedTexts(embedding::Embedder& embedder,
                                   const std::vector<std::string>& texts) {
  std::vector<embedding::EmbedInput> inputs;
  inputs.reserve(texts.size());
  for (const std::string& text : texts) inputs.push_back({.fields = {text}, .images = {}});

  PALATE_ASSIGN_OR_RETURN(std::vector<Vectors> vectors,
                          Embed(embedder, std::move(inputs), {kTextSpace}));
  return std::move(vectors[0]);
}

}  // namespace palate::training
