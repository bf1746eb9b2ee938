#include "featurestore/storage/seen_merge.h"

#include <string>

#include "absl/strings/string_view.h"
#include "domain/item_number_set.h"

namespace palate::featurestore {
namespace {

bool AddTo(ItemNumberSet& set, const rocksdb::Slice& bytes) {
  const absl::StatusOr<ItemNumberSet> added =
      ItemNumberSet::Parse(absl::string_view(bytes.data(), bytes.size()));
  if (added.ok()) set.AddAll(*added);
  return added.ok();
}

class SeenMerge final : public rocksdb::MergeOperator {
 public:
  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    ItemNumberSet set;
    if (in.existing_value != nullptr && !AddTo(set, *in.existing_value)) return false;
    for (const rocksdb::Slice& operand : in.operand_list) {
      if (!AddTo(set, operand)) return false;
    }
    out->new_value = set.Serialize();
    return true;
  }

  bool PartialMergeMulti(const rocksdb::Slice&, const std::deque<rocksdb::Slice>& operands,
                         std::string* merged, rocksdb::Logger*) const override {
    ItemNumberSet set;
    for (const rocksdb::Slice& operand : operands) {
      if (!AddTo(set, operand)) return false;
    }
    *merged = set.Serialize();
    return true;
  }

  const char* Name() const override { return "palate.SeenMerge"; }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> MakeSeenMerge() { return std::make_shared<SeenMerge>(); }

}  // namespace palate::featurestore
