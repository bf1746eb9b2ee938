#include "featurestore/storage/embedding_state.h"

#include <string>

#include "base/bytes.h"

namespace palate::featurestore {
namespace {

constexpr size_t kMaxMessageBytes = 1024;

std::string Storable(absl::string_view message) {
  return IsValidUtf8(message) && message.size() <= kMaxMessageBytes
             ? std::string(message)
             : QuoteForMessage(message, kMaxMessageBytes);
}

}  // namespace

storage::EmbeddingRecord NewEmbeddingRow(const Item& item, int64_t content_revision,
                                         bool embeddable) {
  storage::EmbeddingRecord row;
  row.set_content_revision(content_revision);
  row.set_done(!embeddable);
  for (const PartFailure& failure : item.refused_images) AddFailedPart(failure, row);
  return row;
}

bool IsEmptyRow(const storage::EmbeddingRecord& row) {
  return row.done() && row.failed_parts().empty();
}

bool HasFailed(const storage::EmbeddingRecord& row) { return row.failure_code() != 0; }

bool IsWaiting(const storage::EmbeddingRecord& row) { return !HasFailed(row) && !row.done(); }

void AddFailedPart(const PartFailure& failure, storage::EmbeddingRecord& row) {
  storage::FailedPart* part = row.add_failed_parts();
  part->set_part(failure.part);
  part->set_code(static_cast<int>(failure.status.code()));
  part->set_message(Storable(failure.status.message()));
}

void SetFailure(const absl::Status& failure, storage::EmbeddingRecord& row) {
  row.set_failure_code(static_cast<int>(failure.code()));
  row.set_failure_message(Storable(failure.message()));
}

std::vector<PartFailure> FailuresOf(const storage::EmbeddingRecord& row) {
  std::vector<PartFailure> failures;
  if (HasFailed(row)) {
    failures.push_back({"", absl::Status(static_cast<absl::StatusCode>(row.failure_code()),
                                         row.failure_message())});
  }
  for (const storage::FailedPart& part : row.failed_parts()) {
    failures.push_back(
        {part.part(), absl::Status(static_cast<absl::StatusCode>(part.code()), part.message())});
  }
  return failures;
}

}  // namespace palate::featurestore
