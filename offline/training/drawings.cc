#include "offline/training/drawings.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "featurestore/embedding_worker.h"
#include "featurestore/types.h"
#include "models/checkpoint/json_config.h"
#include "nlohmann/json.hpp"
#include "offline/demo/picture.h"
#include "offline/demo/vocabulary.h"

namespace palate::training {
namespace {

bool StartsWithVowel(const std::string& word) {
  return std::string("aeiou").find(word.front()) != std::string::npos;
}

std::string TextOf(const demo::Product& product) {
  featurestore::StoredItem stored;
  stored.item = product.item;
  return absl::StrJoin(featurestore::ToEmbedItem(stored).text_fields, "\n");
}

}  // namespace

std::string CaptionOf(const demo::Product& product) {
  const std::string pattern = product.pattern == "plain" ? "" : absl::StrCat(product.pattern, " ");
  const std::string words =
      absl::StrCat(product.color, " ", pattern, product.material, " ", product.kind);
  if (demo::FindKind(product.kind).plural) return words;
  return absl::StrCat(StartsWithVowel(words) ? "an " : "a ", words);
}

absl::StatusOr<std::vector<demo::Product>> ProductsOf(Split split, uint64_t seed, int count) {
  std::vector<demo::Product> products;
  const auto wanted = static_cast<size_t>(count);
  for (uint64_t number = 0; products.size() < wanted; ++number) {
    demo::ShopOptions options = ShopOf(split, seed, number);
    options.num_shoppers = 0;
    PALATE_ASSIGN_OR_RETURN(const demo::Shop shop, demo::GenerateShop(options));
    products.insert(products.end(), shop.products.begin(), shop.products.end());
  }
  products.resize(wanted);
  return products;
}

absl::Status WriteDrawings(const DrawingsOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot create ", options.out, ": ", error.message()));
  PALATE_ASSIGN_OR_RETURN(const std::vector<demo::Product> products,
                          ProductsOf(options.split, options.seed, options.products));

  std::string lines;
  for (size_t i = 0; i < products.size(); ++i) {
    const demo::Product& product = products[i];
    const std::string file = absl::StrFormat("%05d.png", i);
    PALATE_ASSIGN_OR_RETURN(
        const demo::Picture picture,
        demo::DrawPicture(product, {.size = options.size, .format = demo::PictureFormat::kPng}));
    PALATE_RETURN_IF_ERROR(
        models::WriteFileAtomically(models::InFolder(options.out, file), picture.bytes));

    const nlohmann::json line = {
        {"file", file},           {"caption", CaptionOf(product)}, {"kind", product.kind},
        {"color", product.color}, {"pattern", product.pattern},    {"text", TextOf(product)}};
    absl::StrAppend(&lines, line.dump(), "\n");
  }
  return models::WriteFileAtomically(models::InFolder(options.out, "products.jsonl"), lines);
}

}  // namespace palate::training
