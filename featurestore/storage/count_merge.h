// How RocksDB combines the counters that writers add to without reading them.
#pragma once

#include <rocksdb/merge_operator.h>

#include <memory>

namespace palate::featurestore {

// For the column family counters: sums, and the maximum for CounterTag::kNewestEvent. A row or
// operand that is not a count is reported as corruption.
std::shared_ptr<rocksdb::MergeOperator> MakeCountMerge();

}  // namespace palate::featurestore
