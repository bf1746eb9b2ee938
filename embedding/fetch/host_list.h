// Which hosts pictures may be fetched from.
//
// Immutable; thread-safe.
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
  // ("*.example.com", which is not example.com itself), or an address ("203.0.113.7",
  // "[2001:db8::1]"); with ":8443" only that port, else only the scheme's own. Empty: no host.
  // InvalidArgument names the entry that is none of these.
  static absl::StatusOr<HostList> Parse(absl::string_view text);

  bool empty() const { return entries_.empty(); }
  // `host` as in a URI, in any case; `default_port` is the scheme's own.
  bool Allows(absl::string_view host, int port, int default_port) const;

 private:
  struct Entry {
    std::string name;         // lower case; of "*.example.com": ".example.com"
    bool only_below = false;  // names that end in `name`
    int port = 0;             // 0: the scheme's own
  };
  std::vector<Entry> entries_;
};

}  // namespace palate::embedding
