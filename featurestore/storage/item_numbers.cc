#include "featurestore/storage/item_numbers.h"

#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {
namespace {

bool AllFound(const std::vector<uint32_t>& numbers) {
  for (const uint32_t number : numbers) {
    if (number == 0) return false;
  }
  return true;
}

}  // namespace

absl::Status ItemNumbers::Load(const Database& database) {
  const std::string prefix = IdOfNumberPrefix(catalog_);
  PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> last,
                          database.LastKey(kNumbers, prefix));
  uint32_t number = 0;
  if (last.has_value()) {
    absl::string_view rest = absl::string_view(*last).substr(prefix.size());
    if (!ConsumeBigEndian32(rest, number) || !rest.empty())
      return absl::DataLossError("a stored item number has a damaged key");
  }
  MutexLock lock(mutex_);
  next_ = uint64_t{number} + 1;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint32_t>> ItemNumbers::Find(const Database& database,
                                                        const std::vector<std::string>& ids,
                                                        const rocksdb::ReadOptions& read) const {
  std::vector<std::string> keys;
  keys.reserve(ids.size());
  for (const std::string& id : ids) keys.push_back(NumberOfIdKey(catalog_, id));
  PALATE_ASSIGN_OR_RETURN(const auto rows, database.MultiGet(kNumbers, keys, read));

  std::vector<uint32_t> numbers(ids.size(), 0);
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!rows[i].has_value()) continue;
    absl::string_view bytes = ToView(*rows[i]);
    if (!ConsumeBigEndian32(bytes, numbers[i]) || !bytes.empty() || numbers[i] == 0)
      return absl::DataLossError("a stored item number is damaged");
  }
  return numbers;
}

absl::StatusOr<std::vector<uint32_t>> ItemNumbers::Assign(Database& database,
                                                          const std::vector<std::string>& ids) {
  if (ids.empty()) return std::vector<uint32_t>();
  PALATE_ASSIGN_OR_RETURN(std::vector<uint32_t> numbers, Find(database, ids));
  if (AllFound(numbers)) return numbers;

  // Others may have numbered some of them since.
  MutexLock lock(mutex_);
  PALATE_ASSIGN_OR_RETURN(numbers, Find(database, ids));
  PALATE_RETURN_IF_ERROR(AssignMissing(database, ids, numbers));
  return numbers;
}

absl::Status ItemNumbers::AssignMissing(Database& database, const std::vector<std::string>& ids,
                                        std::vector<uint32_t>& numbers) {
  rocksdb::WriteBatch batch;
  std::map<absl::string_view, uint32_t> added;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (numbers[i] != 0) continue;
    const uint64_t next = next_ + added.size();
    const auto [entry, is_new] = added.try_emplace(ids[i], static_cast<uint32_t>(next));
    numbers[i] = entry->second;
    if (!is_new) continue;
    if (next > std::numeric_limits<uint32_t>::max())
      return absl::ResourceExhaustedError("the catalog has no numbers left for new items");

    std::string bytes;
    AppendBigEndian32(numbers[i], bytes);
    batch.Put(database.family(kNumbers), NumberOfIdKey(catalog_, ids[i]), bytes);
    batch.Put(database.family(kNumbers), IdOfNumberKey(catalog_, numbers[i]), ids[i]);
  }

  if (added.empty()) return absl::OkStatus();
  PALATE_RETURN_IF_ERROR(database.WriteUnsynced(batch));
  next_ += added.size();
  return absl::OkStatus();
}

}  // namespace palate::featurestore
