// What kill_writer writes and kill_test expects to find.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "featurestore/types.h"

namespace palate::featurestore {

inline constexpr char kKillCatalog[] = "killed";
inline constexpr int kKillThreads = 3;
inline constexpr int kGroupSize = 5;
inline constexpr int kEventsPerBatch = 3;

inline std::string KillItemId(const std::string& group, int index) {
  return absl::StrCat("item-", group, "-", index);
}
inline std::string KillUser(int round, int thread) {
  return absl::StrCat("user-", round, "-", thread);
}

// Every part of the item holds its version, so that a torn write is visible.
inline ItemWrite KillItem(const std::string& group, int index, int64_t version) {
  ItemWrite write;
  write.item.id = KillItemId(group, index);
  write.item.title = absl::StrCat("version ", version);
  for (int i = 0; i < 40; ++i) absl::StrAppend(&write.item.description, version, ";");

  // A PNG of one pixel by header, with the version as its comment.
  std::string png("\x89PNG\r\n\x1a\n", 8);
  const auto chunk = [&png](absl::string_view type, const std::string& data) {
    AppendBigEndian32(static_cast<uint32_t>(data.size()), png);
    absl::StrAppend(&png, type, data, std::string(4, 'c'));
  };
  chunk("IHDR", std::string("\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0", 13));
  std::string comment;
  // The first picture is large enough for a separate blob file.
  for (int i = 0; i < (index == 0 ? 600 : 10); ++i) absl::StrAppend(&comment, version, " ");
  chunk("tEXt", comment);
  chunk("IEND", "");

  write.images.push_back({png, ""});
  return write;
}

}  // namespace palate::featurestore
