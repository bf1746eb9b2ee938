#include "embedding/fetch/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace palate::embedding {
namespace {

struct Range4 {
  uint32_t first;  // host byte order
  int prefix_bits;
};

constexpr uint32_t Quad(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

constexpr Range4 kNotPublic4[] = {
    {Quad(0, 0, 0, 0), 8},        // this network; 0.0.0.0 is every address of this machine
    {Quad(10, 0, 0, 0), 8},       // private
    {Quad(100, 64, 0, 0), 10},    // carrier-grade NAT
    {Quad(127, 0, 0, 0), 8},      // loopback
    {Quad(169, 254, 0, 0), 16},   // link-local, where cloud providers serve instance metadata
    {Quad(172, 16, 0, 0), 12},    // private
    {Quad(192, 0, 0, 0), 24},     // protocol assignments
    {Quad(192, 0, 2, 0), 24},     // documentation
    {Quad(192, 88, 99, 0), 24},   // 6to4 relays
    {Quad(192, 168, 0, 0), 16},   // private
    {Quad(198, 18, 0, 0), 15},    // benchmarks
    {Quad(198, 51, 100, 0), 24},  // documentation
    {Quad(203, 0, 113, 0), 24},   // documentation
    {Quad(224, 0, 0, 0), 3},      // multicast, reserved, broadcast
};

struct Range6 {
  std::array<uint8_t, 4> first;
  int prefix_bits;
};

// Global unicast, and the ranges inside it that are not public. Everything outside of it (::/8 with
// the mapped forms, fc00::/7, fe80::/10, ff00::/8, 64:ff9b::/96) needs no list.
constexpr Range6 kGlobal6 = {{0x20, 0, 0, 0}, 3};
constexpr Range6 kNotPublic6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23},  // protocol assignments, including Teredo
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    {{0x20, 0x02, 0x00, 0x00}, 16},  // 6to4
    {{0x3f, 0xff, 0x00, 0x00}, 20},  // documentation
};

bool Holds(const Range4& range, uint32_t address) {
  return (address ^ range.first) >> (32 - range.prefix_bits) == 0;
}

bool Holds(const Range6& range, const in6_addr& address) {
  const auto word = [](const auto& bytes) { return Quad(bytes[0], bytes[1], bytes[2], bytes[3]); };
  return (word(address.s6_addr) ^ word(range.first)) >> (32 - range.prefix_bits) == 0;
}

}  // namespace

bool IsPublicAddress(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const uint32_t value = ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr);
    return std::none_of(std::begin(kNotPublic4), std::end(kNotPublic4),
                        [&](const Range4& range) { return Holds(range, value); });
  }
  if (address.sa_family != AF_INET6) return false;

  const in6_addr& value = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (!Holds(kGlobal6, value)) return false;
  return std::none_of(std::begin(kNotPublic6), std::end(kNotPublic6),
                      [&](const Range6& range) { return Holds(range, value); });
}

bool IsLoopbackAddress(const sockaddr& address) {
  if (address.sa_family == AF_INET)
    return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == 127;
  return address.sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

}  // namespace palate::embedding
