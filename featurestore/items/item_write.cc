#include "featurestore/items/item_write.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/items/image_properties.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

constexpr absl::string_view kAttributePath = "attributes.";

absl::Status ValidateMask(const std::vector<std::string>& mask) {
  for (size_t i = 0; i < mask.size(); ++i) {
    const absl::string_view path = mask[i];
    const bool known =
        path == "title" || path == "description" || path == "attributes" || path == "images" ||
        path == "hidden" || path == "create_time" || path == "expire_time" ||
        (absl::StartsWith(path, kAttributePath) && path.size() > kAttributePath.size());
    if (!known) {
      return InvalidField(absl::StrCat("update_mask[", i, "]"),
                          absl::StrCat("is ", QuoteForMessage(path)),
                          "title, description, attributes, attributes.NAME, images, hidden, "
                          "create_time or expire_time");
    }
  }
  return absl::OkStatus();
}

// A digest that can be none is the caller's mistake, not a bad picture.
absl::Status CheckDigest(const std::string& field, const ImageInput& image) {
  if (!image.bytes.empty() || image.sha256.empty() || image.sha256.size() == 32)
    return absl::OkStatus();
  return InvalidField(absl::StrCat(field, ".sha256"),
                      absl::StrCat("has ", image.sha256.size(), " bytes"), "of 32 bytes");
}

absl::StatusOr<ImageRef> PrepareImage(const std::string& field, const ImageInput& image,
                                      const StoreLimits& limits) {
  if (image.bytes.empty()) {
    if (image.sha256.size() == 32) return ImageRef{.sha256 = image.sha256, .media_type = ""};
    return InvalidField(field, "is empty", "encoded bytes or the digest of a stored picture");
  }

  const int64_t size = static_cast<int64_t>(image.bytes.size());
  if (size > limits.max_image_bytes) {
    return InvalidField(field, absl::StrCat("has ", size, " bytes"),
                        absl::StrCat("at most ", limits.max_image_bytes));
  }

  const absl::StatusOr<ImageProperties> header = ReadImageProperties(image.bytes);
  if (!header.ok())
    return InvalidField(field, absl::StrCat("is ", header.status().message()),
                        "a whole JPEG, PNG or WebP file");
  if (int64_t{header->width} * header->height > limits.max_image_pixels) {
    return InvalidField(field,
                        absl::StrCat("declares ", header->width, " x ", header->height, " pixels"),
                        absl::StrCat("at most ", limits.max_image_pixels, " pixels"));
  }
  return ImageRef{Sha256(image.bytes), header->media_type, header->width, header->height, size};
}

// Completes the references to pictures that the writer named by digest.
absl::Status ResolveImages(const BlobLedger& blobs, PreparedItemWrite& prepared) {
  for (size_t i = 0; i < prepared.images.size(); ++i) {
    ImageRef& image = prepared.images[i];
    if (!image.media_type.empty()) continue;
    const std::optional<ImageRef> known = blobs.Find(image.sha256);
    if (!known.has_value()) {
      return InvalidField(absl::StrCat("item.images[", prepared.positions[i], "].sha256"),
                          "is not stored", "the digest of a stored picture");
    }
    image = *known;
  }
  return absl::OkStatus();
}

std::vector<PartFailure> RefusedImages(const PreparedItemWrite& prepared) {
  std::vector<PartFailure> refused;
  for (const absl::Status& status : prepared.refused_images) {
    // As it is read again: without details.
    refused.push_back(
        {FieldViolations(status).front().field, absl::Status(status.code(), status.message())});
  }
  return refused;
}

void ApplyPath(absl::string_view path, const Item& update, const PreparedItemWrite& prepared,
               Item& item) {
  if (path == "title") item.title = update.title;
  if (path == "description") item.description = update.description;
  if (path == "attributes") item.attributes = update.attributes;
  if (path == "images") {
    item.images = prepared.images;
    item.refused_images = RefusedImages(prepared);
  }
  if (path == "hidden") item.hidden = update.hidden;
  if (path == "create_time") item.create_time = update.create_time;
  if (path == "expire_time") item.expire_time = update.expire_time;
  if (!absl::StartsWith(path, kAttributePath)) return;
  const std::string name(path.substr(kAttributePath.size()));
  const auto value = update.attributes.find(name);
  if (value == update.attributes.end()) {
    item.attributes.erase(name);
  } else {
    item.attributes[name] = value->second;
  }
}

Item Merge(const ItemWrite& write, const PreparedItemWrite& prepared,
           const std::optional<Item>& stored, absl::Time now) {
  Item item;
  if (write.update_mask.has_value()) {
    item = *stored;
    for (const std::string& path : *write.update_mask) ApplyPath(path, write.item, prepared, item);
  } else {
    item = write.item;
    item.images = prepared.images;
    item.refused_images = RefusedImages(prepared);
  }

  // A new item gets its number when the batch is committed.
  item.number = stored.has_value() ? stored->number : 0;
  if (!item.create_time.has_value())
    item.create_time = stored.has_value() ? stored->create_time : now;
  // To the microsecond, as it is stored, so that writing the same again is no change.
  item.create_time = FromMicros(ToMicros(*item.create_time));
  if (item.expire_time.has_value()) item.expire_time = FromMicros(ToMicros(*item.expire_time));
  return item;
}

absl::Status CheckPreconditions(const ItemWrite& write, const std::optional<Item>& stored) {
  const int64_t revision = stored.has_value() ? stored->revision : 0;
  if (write.expected_revision.has_value() && *write.expected_revision != revision) {
    return absl::AbortedError(absl::StrCat("item ", QuoteForMessage(write.item.id),
                                           revision == ItemBatch::kNewRevision
                                               ? " changes earlier in this batch"
                                               : absl::StrCat(" has revision ", revision),
                                           ", expected ", *write.expected_revision));
  }
  if (write.update_mask.has_value() && !stored.has_value()) {
    return absl::NotFoundError(absl::StrCat("item ", QuoteForMessage(write.item.id),
                                            " is not known; an update mask needs a stored item"));
  }
  return absl::OkStatus();
}

}  // namespace

PreparedItemWrite PrepareItemWrite(const ItemWrite& write, const Catalog& catalog,
                                   const StoreLimits& limits) {
  PreparedItemWrite prepared;
  prepared.status = PrefixFields(ValidateItem(write.item, catalog, limits), "item");
  if (prepared.status.ok() && write.update_mask.has_value())
    prepared.status = ValidateMask(*write.update_mask);
  if (prepared.status.ok() && write.images.size() > static_cast<size_t>(limits.max_images)) {
    prepared.status =
        InvalidField("item.images", absl::StrCat("has ", write.images.size(), " elements"),
                     absl::StrCat("at most ", limits.max_images));
  }

  for (size_t i = 0; prepared.status.ok() && i < write.images.size(); ++i) {
    const std::string field = absl::StrCat("images[", i, "]");
    prepared.status = PrefixFields(CheckDigest(field, write.images[i]), "item");
    if (!prepared.status.ok()) break;
    absl::StatusOr<ImageRef> image = PrepareImage(field, write.images[i], limits);
    if (image.ok()) {
      prepared.images.push_back(*std::move(image));
      prepared.positions.push_back(i);
    } else {
      prepared.refused_images.push_back(image.status());
    }
  }
  return prepared;
}

ItemWriteOutcome ApplyItemWrite(const ItemWrite& write, PreparedItemWrite& prepared,
                                ItemBatch& batch, std::map<std::string, size_t>& last_change,
                                absl::Time now) {
  const std::optional<Item>& stored = batch.Current(write.item.id);
  if (absl::Status status = CheckPreconditions(write, stored); !status.ok()) return {status, {}, 0};
  if (absl::Status status = ResolveImages(batch.blobs(), prepared); !status.ok())
    return {status, {}, 0};

  Item item = Merge(write, prepared, stored, now);
  if (stored.has_value() && SameItem(*stored, item)) {
    const auto changed = last_change.find(item.id);
    if (changed != last_change.end()) return {absl::OkStatus(), changed->second, 0};
    return {absl::OkStatus(), {}, stored->revision};
  }

  for (const ImageRef& image : item.images) {
    const auto input =
        std::find_if(prepared.images.begin(), prepared.images.end(),
                     [&](const ImageRef& candidate) { return candidate.sha256 == image.sha256; });
    absl::string_view sent;
    if (input != prepared.images.end()) {
      const size_t index = static_cast<size_t>(input - prepared.images.begin());
      sent = write.images[prepared.positions[index]].bytes;
    }
    batch.blobs().Add(image, sent);
  }
  if (stored.has_value()) {
    for (const ImageRef& image : stored->images) batch.blobs().Remove(image.sha256);
  }

  const std::string id = item.id;
  const size_t change = batch.Change(id, std::move(item));
  last_change[id] = change;
  return {absl::OkStatus(), change, 0};
}

}  // namespace palate::featurestore
