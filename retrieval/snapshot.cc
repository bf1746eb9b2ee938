#include "retrieval/snapshot.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "retrieval/byte_codec.h"
#include "retrieval/row_segment.h"
#include "retrieval/section_file.h"

namespace palate::retrieval {
namespace {

constexpr absl::string_view kCatalogMagic = "PALATEIX";
constexpr absl::string_view kManifestMagic = "PALATEMF";
constexpr uint32_t kManifestFormat = 1;

enum SectionKind : uint32_t {
  kHeaderSection = 1,
  kRowsSection = 2,
  kVectorsSection = 3,
  kManifestSection = 4
};

absl::Status Malformed(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("malformed ", what));
}

void EncodeKeys(const std::set<SpaceKey>& keys, ByteWriter& out) {
  out.Number<uint64_t>(keys.size());
  for (const SpaceKey& key : keys) {
    out.String(key.name);
    out.String(key.fingerprint);
  }
}

std::set<SpaceKey> DecodeKeys(ByteReader& in) {
  std::set<SpaceKey> keys;
  const uint64_t count = in.Count(2 * sizeof(uint64_t));
  for (uint64_t i = 0; i < count; ++i) {
    SpaceKey key;
    key.name = std::string(in.String());
    key.fingerprint = std::string(in.String());
    keys.insert(std::move(key));
  }
  return keys;
}

std::string EncodeHeader(const IndexState& state, absl::string_view position) {
  const CatalogConfig& config = *state.config;
  ByteWriter out;
  out.String(config.id);
  out.String(position);
  out.Number<int64_t>(absl::ToUnixMicros(config.create_time));
  out.Number<uint64_t>(config.attributes.size());
  for (const AttributeDeclaration& attribute : config.attributes) {
    out.String(attribute.name);
    out.Number<uint8_t>(static_cast<uint8_t>(attribute.type));
    out.Number<uint8_t>(attribute.filterable ? 1 : 0);
  }
  out.Number<uint64_t>(config.spaces.size());
  for (const std::string& space : config.spaces) out.String(space);

  std::set<SpaceKey> active;
  for (const auto& [name, fingerprint] : config.active_fingerprints)
    active.insert({name, fingerprint});
  EncodeKeys(active, out);

  std::set<SpaceKey> retiring;
  for (const auto& [key, until] : state.retiring) retiring.insert(key);
  EncodeKeys(retiring, out);
  EncodeKeys(state.dropped, out);

  out.Number<uint64_t>(state.segments.size());
  out.Number<uint8_t>(state.listing_due ? 1 : 0);
  return out.Take();
}

// Returns the number of segments that follow.
absl::StatusOr<uint64_t> DecodeHeader(absl::string_view payload, CatalogSnapshot& out) {
  ByteReader in(payload);
  out.config.id = std::string(in.String());
  out.position = std::string(in.String());
  out.config.create_time = absl::FromUnixMicros(in.Number<int64_t>());

  const uint64_t num_attributes = in.Count(sizeof(uint64_t));
  for (uint64_t i = 0; i < num_attributes; ++i) {
    AttributeDeclaration attribute;
    attribute.name = std::string(in.String());
    const uint8_t type = in.Number<uint8_t>();
    if (type > static_cast<uint8_t>(AttributeType::kBool))
      return Malformed("header: unknown attribute type");
    attribute.type = static_cast<AttributeType>(type);
    attribute.filterable = in.Number<uint8_t>() != 0;
    out.config.attributes.push_back(std::move(attribute));
  }

  const uint64_t num_spaces = in.Count(sizeof(uint64_t));
  for (uint64_t i = 0; i < num_spaces; ++i) out.config.spaces.emplace_back(in.String());
  for (const SpaceKey& key : DecodeKeys(in))
    out.config.active_fingerprints[key.name] = key.fingerprint;
  out.retiring = DecodeKeys(in);
  out.dropped = DecodeKeys(in);

  const uint64_t num_segments = in.Number<uint64_t>();
  out.listing_due = in.Number<uint8_t>() != 0;
  if (!in.done() || out.config.id.empty()) return Malformed("header");
  return num_segments;
}

absl::Status WriteSegment(const SegmentView& view, SectionWriter& file) {
  ByteWriter rows;
  rows.Array(view.dead == nullptr ? std::vector<uint64_t>() : view.dead->words());
  view.rows->EncodeRows(rows);
  PALATE_RETURN_IF_ERROR(file.Write(kRowsSection, rows.bytes()));

  for (const SpacePart& part : view.rows->spaces()) {
    PALATE_ASSIGN_OR_RETURN(const std::string vectors, part.vectors->Serialize());
    ByteWriter out;
    out.String(part.key.name);
    out.String(part.key.fingerprint);
    out.Number<uint32_t>(part.vectors->dimensions());
    out.String(vectors);
    PALATE_RETURN_IF_ERROR(file.Write(kVectorsSection, out.bytes()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<const VectorSegment>> ReadVectors(
    const SpaceKey& key, size_t num_vectors, const VectorSegmentFactory& factory,
    SectionReader& file) {
  PALATE_ASSIGN_OR_RETURN(const std::string payload, file.Read(kVectorsSection));

  ByteReader in(payload);
  const absl::string_view name = in.String();
  const absl::string_view fingerprint = in.String();
  const uint32_t dimensions = in.Number<uint32_t>();
  const absl::string_view bytes = in.String();
  if (!in.done() || name != key.name || fingerprint != key.fingerprint || dimensions < 1 ||
      dimensions > kMaxDimensions) {
    return Malformed("vectors section");
  }
  auto vectors =
      factory.Deserialize(static_cast<int>(dimensions), static_cast<int64_t>(num_vectors), bytes);
  if (!vectors.ok()) return vectors.status();
  return *std::move(vectors);
}

absl::StatusOr<SegmentView> ReadSegment(const VectorSegmentFactory& factory, SectionReader& file) {
  PALATE_ASSIGN_OR_RETURN(const std::string payload, file.Read(kRowsSection));
  ByteReader in(payload);
  std::vector<uint64_t> dead_words = in.Array<uint64_t>();
  PALATE_ASSIGN_OR_RETURN(std::shared_ptr<const RowSegment> rows,
                          RowSegment::Decode(in, [&](const SpaceKey& key, size_t num_vectors) {
                            return ReadVectors(key, num_vectors, factory, file);
                          }));

  std::shared_ptr<Bitmap> dead;
  if (!dead_words.empty()) {
    dead = std::make_shared<Bitmap>();
    if (!Bitmap::FromWords(rows->rows(), std::move(dead_words), *dead))
      return Malformed("tombstones");
  }
  return MakeSegmentView(std::move(rows), std::move(dead));
}

absl::StatusOr<CatalogSnapshot> ReadCatalogFile(const std::string& path,
                                                const VectorSegmentFactory& factory) {
  PALATE_ASSIGN_OR_RETURN(SectionReader file,
                          SectionReader::Open(path, kCatalogMagic, kSnapshotFormat));
  CatalogSnapshot snapshot;
  PALATE_ASSIGN_OR_RETURN(const std::string header, file.Read(kHeaderSection));
  PALATE_ASSIGN_OR_RETURN(const uint64_t num_segments, DecodeHeader(header, snapshot));

  for (uint64_t i = 0; i < num_segments; ++i) {
    PALATE_ASSIGN_OR_RETURN(SegmentView segment, ReadSegment(factory, file));
    snapshot.segments.push_back(std::move(segment));
  }

  PALATE_RETURN_IF_ERROR(file.End());
  return snapshot;
}

absl::Status WriteCatalogFile(const std::string& path, const IndexState& state,
                              absl::string_view position) {
  PALATE_ASSIGN_OR_RETURN(SectionWriter file,
                          SectionWriter::Create(path, kCatalogMagic, kSnapshotFormat));
  PALATE_RETURN_IF_ERROR(file.Write(kHeaderSection, EncodeHeader(state, position)));
  for (const SegmentView& view : state.segments) PALATE_RETURN_IF_ERROR(WriteSegment(view, file));
  return file.Commit();
}

}  // namespace

absl::Status WriteCatalogSnapshot(const std::string& path, const IndexState& state,
                                  absl::string_view position) {
  return Annotate(WriteCatalogFile(path, state, position), "snapshot ", path);
}

absl::StatusOr<CatalogSnapshot> ReadCatalogSnapshot(const std::string& path,
                                                    const VectorSegmentFactory& factory) {
  absl::StatusOr<CatalogSnapshot> snapshot = ReadCatalogFile(path, factory);
  if (!snapshot.ok()) return Annotate(snapshot.status(), "snapshot ", path);
  return snapshot;
}

absl::Status WriteManifest(const std::string& path, const SnapshotManifest& manifest) {
  ByteWriter out;
  out.String(manifest.position);
  out.Number<uint64_t>(manifest.catalogs.size());
  for (const std::string& catalog : manifest.catalogs) out.String(catalog);

  PALATE_ASSIGN_OR_RETURN(SectionWriter file,
                          SectionWriter::Create(path, kManifestMagic, kManifestFormat));
  PALATE_RETURN_IF_ERROR(file.Write(kManifestSection, out.bytes()));
  return file.Commit();
}

absl::StatusOr<SnapshotManifest> ReadManifest(const std::string& path) {
  PALATE_ASSIGN_OR_RETURN(SectionReader file,
                          SectionReader::Open(path, kManifestMagic, kManifestFormat));
  PALATE_ASSIGN_OR_RETURN(const std::string payload, file.Read(kManifestSection));
  PALATE_RETURN_IF_ERROR(file.End());

  ByteReader in(payload);
  SnapshotManifest manifest;
  manifest.position = std::string(in.String());
  const uint64_t count = in.Count(sizeof(uint64_t));
  for (uint64_t i = 0; i < count; ++i) manifest.catalogs.emplace_back(in.String());
  if (!in.done()) return Malformed("manifest");
  return manifest;
}

absl::StatusOr<std::string> SetAside(const std::string& path) {
  for (int n = 1;; ++n) {
    const std::string aside = absl::StrCat(path, ".bad-", n);
    if (access(aside.c_str(), F_OK) == 0) continue;
    if (rename(path.c_str(), aside.c_str()) != 0)
      return absl::ErrnoToStatus(errno, absl::StrCat("renaming ", path));
    return aside;
  }
}

}  // namespace palate::retrieval
