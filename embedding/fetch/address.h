// Decides which addresses the server may connect to on behalf of a URI from outside.
#pragma once

#include <sys/socket.h>

namespace palate::embedding {

// Whether `address` (IPv4 or IPv6) belongs to the public internet. False for private, shared
// (carrier-grade NAT), loopback, link-local, unspecified, multicast, broadcast, documentation,
// benchmark and reserved addresses; for unique local IPv6 addresses; and for every form that wraps
// an IPv4 address in an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo), because the network
// decides where those lead. Reference: IANA's special-purpose address registries (RFC 6890 and its
// updates).
bool IsPublicAddress(const sockaddr& address);

// 127.0.0.0/8 and ::1.
bool IsLoopbackAddress(const sockaddr& address);

}  // namespace palate::embedding
