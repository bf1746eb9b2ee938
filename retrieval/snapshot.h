// Snapshots: one file for each catalog's index, and a small manifest with the feed position of the
// files.
//
// Usage:
//   PALATE_RETURN_IF_ERROR(WriteCatalogSnapshot(path, *index.state(), position));
//   PALATE_ASSIGN_OR_RETURN(CatalogSnapshot read, ReadCatalogSnapshot(path, factory));
//   CatalogIndex restored(read.config, IndexOptions{}, factory, clock);
//   restored.Restore(std::move(read.segments), read.retiring, read.dropped, read.listing_due);
//
// A file is written under a temporary name, synced, and renamed over the old one, so that a crash
// leaves the old file. It consists of a magic number, a format version and sections. Each section
// has a header (kind, length, CRC32C of the payload, CRC32C of the header), and both checksums are
// checked before the payload is decoded. Every file has the state at or after the manifest's
// position, and changes can be applied twice, so the follower can resume from the manifest's
// position.
//
// The functions are thread-safe for different paths. Errors: DataLoss for damaged, truncated or
// foreign files, FailedPrecondition for a newer format, NotFound for missing files, and the code of
// absl::ErrnoToStatus for other errors of the operating system.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "domain/vector.h"
#include "retrieval/index.h"
#include "retrieval/index_state.h"
#include "retrieval/vector_segment.h"

namespace palate::retrieval {

// Of index files. The manifest has its own.
inline constexpr uint32_t kSnapshotFormat = 2;

struct CatalogSnapshot {
  CatalogConfig config;
  std::string position;  // of the feed before the state was read
  std::vector<SegmentView> segments;
  std::set<SpaceKey> retiring;
  std::set<SpaceKey> dropped;
  // As CatalogIndex::listing_due.
  bool listing_due = true;
};

absl::Status WriteCatalogSnapshot(const std::string& path, const IndexState& state,
                                  absl::string_view position);
absl::StatusOr<CatalogSnapshot> ReadCatalogSnapshot(const std::string& path,
                                                    const VectorSegmentFactory& factory);

struct SnapshotManifest {
  std::string position;
  std::vector<std::string> catalogs;
};

absl::Status WriteManifest(const std::string& path, const SnapshotManifest& manifest);
absl::StatusOr<SnapshotManifest> ReadManifest(const std::string& path);

// Renames the file to PATH.bad-N, with the smallest N from 1 whose name is free. Returns the new
// name.
absl::StatusOr<std::string> SetAside(const std::string& path);

}  // namespace palate::retrieval
