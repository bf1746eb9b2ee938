// The row of an item's embedding state: it waits, it failed, or parts of it did. Without a row the
// item has all the vectors that it can have. Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "domain/item.h"
#include "domain/part_failure.h"
#include "featurestore/storage/record_codec.h"
#include "palate/storage/v1/records.pb.h"

namespace palate::featurestore {

// A row that waits for vectors of `item`, or, when `item` has nothing to embed, that is done.
storage::EmbeddingRecord NewEmbeddingRow(const Item& item, int64_t content_revision,
                                         bool embeddable);
// Whether the row says nothing that its absence would not say.
bool IsEmptyRow(const storage::EmbeddingRecord& row);
bool IsWaiting(const storage::EmbeddingRecord& row);
bool HasFailed(const storage::EmbeddingRecord& row);  // as a whole

// A message that is longer, or is not UTF-8, is cut or quoted.
void AddFailedPart(const PartFailure& failure, storage::EmbeddingRecord& row);
void SetFailure(const absl::Status& failure, storage::EmbeddingRecord& row);
// Those of the parts, and the failure as a whole with an empty part.
std::vector<PartFailure> FailuresOf(const storage::EmbeddingRecord& row);

}  // namespace palate::featurestore
