#include "featurestore/storage/rocksdb_status.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace palate::featurestore {

absl::Status FromRocksDb(const rocksdb::Status& status, absl::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(doing, ": ", status.ToString());
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit)
    return absl::ResourceExhaustedError(message);
  if (status.IsShutdownInProgress() || status.IsBusy() || status.IsTryAgain())
    return absl::UnavailableError(message);
  if (status.IsNotFound()) return absl::NotFoundError(message);
  if (status.IsPathNotFound()) return absl::DataLossError(message);
  return absl::InternalError(message);
}

}  // namespace palate::featurestore
