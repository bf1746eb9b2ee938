// Snapshots: a catalog's index in one file, and a small manifest that says which feed position the
// files stand for.
//
// A file is written beside its place, synced, and renamed over it: a crash leaves the old one. It
// is a magic number and a format version, then sections, each with a header (kind, length, CRC32C
// of the payload, CRC32C of the header) that is checked before anything else reads the payload,
// FAISS least of all. Every file holds its state at or after the manifest's position, and changes
// can be applied twice, so following from the manifest's position is always right.
//
// Functions are thread-safe for different paths. Errors: DataLoss for damaged, truncated or foreign
// files, FailedPrecondition for a newer format, NotFound for missing files, Internal or
// ResourceExhausted for what the operating system says.
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

inline constexpr uint32_t kSnapshotFormat = 1;

struct CatalogSnapshot {
  CatalogConfig config;
  std::string position;  // of the feed when the snapshot was begun
  std::vector<SegmentView> segments;
  std::set<SpaceKey> retiring;
  std::set<SpaceKey> dropped;
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

// Renames the file to PATH.bad-N, with the first N from 1 that is free, and returns the new name.
absl::StatusOr<std::string> SetAside(const std::string& path);

}  // namespace palate::retrieval
