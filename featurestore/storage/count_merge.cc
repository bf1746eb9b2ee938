#include "featurestore/storage/count_merge.h"

#include <algorithm>

#include "featurestore/storage/keys.h"
#include "featurestore/storage/record_codec.h"

namespace palate::featurestore {
namespace {

absl::string_view View(const rocksdb::Slice& slice) {
  return absl::string_view(slice.data(), slice.size());
}

class CountMerge final : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice& key, const rocksdb::Slice* existing,
             const rocksdb::Slice& operand, std::string* merged, rocksdb::Logger*) const override {
    const absl::StatusOr<int64_t> added = DecodeCount(View(operand));
    if (!added.ok()) return false;
    int64_t value = *added;
    if (existing != nullptr) {
      const absl::StatusOr<int64_t> before = DecodeCount(View(*existing));
      if (!before.ok()) return false;
      // The tag follows the format byte and the catalog number.
      const bool maximum = key.size() > 5 && key[5] == static_cast<char>(CounterTag::kNewestEvent);
      value = maximum ? std::max(*before, *added) : *before + *added;
    }
    *merged = EncodeCount(value);
    return true;
  }
  const char* Name() const override { return "palate.CountMerge"; }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> MakeCountMerge() { return std::make_shared<CountMerge>(); }

}  // namespace palate::featurestore
