// The hosts that images may be fetched from. Immutable; thread-safe.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const HostList hosts,
//                           HostList::Parse("*.example.com, 203.0.113.7:8443"));
//   const bool allowed = hosts.Allows("img.example.com", /*port=*/443, /*default_port=*/443);
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::embedding {

class HostList {
 public:
  // Entries separated by commas: a host name ("img.example.com"), all names below one
  // ("*.example.com", which excludes example.com itself), or an address ("203.0.113.7",
  // "[2001:db8::1]"). With a port (":8443") only that port is allowed, otherwise only the scheme's
  // default. An empty list allows no host. InvalidArgument naming the entry that is none of these.
  static absl::StatusOr<HostList> Parse(absl::string_view text);

  bool empty() const { return entries_.empty(); }
  // `host` as it appears in a URI, in any case; `default_port` is that of the URI's scheme.
  bool Allows(absl::string_view host, int port, int default_port) const;

 private:
  struct Entry {
    std::string name;         // lower case; ".example.com" for "*.example.com"
    bool only_below = false;  // matches names that end in `name`
    int port = 0;             // 0: the scheme's default
  };
  std::vector<Entry> entries_;
};

}  // namespace palate::embedding
