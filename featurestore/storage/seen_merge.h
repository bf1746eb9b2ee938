// How RocksDB combines a user's seen items: writers add sets of item numbers without reading the
// row.
#pragma once

#include <rocksdb/merge_operator.h>

#include <memory>

namespace palate::featurestore {

// For the seen rows of column family users (SeenKey): the row and its operands are sets of item
// numbers (domain/item_number_set.h), and the result is their union. Other bytes are reported as
// corruption.
std::shared_ptr<rocksdb::MergeOperator> MakeSeenMerge();

}  // namespace palate::featurestore
