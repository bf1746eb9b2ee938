// Answers GetUserContext from the user's rows and the catalog's items. Private to featurestore/.
//
// Thread-safe. Borrows everything that the constructor gets.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "domain/user_context.h"
#include "featurestore/items/item_store.h"
#include "featurestore/storage/storage.h"
#include "featurestore/types.h"

namespace palate::featurestore {

class UserContextReader {
 public:
  UserContextReader(Storage& storage, ItemStore& items) : storage_(storage), items_(items) {}

  // As FeatureStore::GetUserContext.
  absl::StatusOr<UserContext> Read(const UserContextQuery& query,
                                   const UserContextOptions& options);

 private:
  // Reads the items of context.events.
  absl::Status ReadItems(const CatalogState& state, const std::vector<std::string>& spaces,
                         const rocksdb::ReadOptions& read, UserContext& context);

  Storage& storage_;
  ItemStore& items_;
};

}  // namespace palate::featurestore
