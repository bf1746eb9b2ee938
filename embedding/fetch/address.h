// Which addresses a server may be made to connect to by somebody else's URI.
#pragma once

#include <sys/socket.h>

namespace palate::embedding {

// Whether `address` (IPv4 or IPv6) is one of the public internet's. False for private, shared
// (carrier-grade NAT), loopback, link-local, unspecified, multicast, broadcast, documentation,
// benchmark and reserved ones; for unique local ones of IPv6; and for every form that wraps an IPv4
// address in an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo): where those lead, the network
// decides. Reference: IANA's special-purpose address registries (RFC 6890 and its updates).
bool IsPublicAddress(const sockaddr& address);

// 127.0.0.0/8 and ::1.
bool IsLoopbackAddress(const sockaddr& address);

}  // namespace palate::embedding
